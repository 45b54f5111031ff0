"""Measure the hops of each of Django's middleware, where they differ."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from unittest import mock

import django
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.messages.storage.base import Message
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.cache import caches
from django.core.handlers.asgi import ASGIHandler
from django.db import transaction
from django.test import RequestFactory, override_settings
from django.utils import translation
from django.utils.translation import trans_real

from django_async_cbv.serve.middleware import COMPRESSED, HASHED, INLINE
from tests.app.models import Tag
from tests.hops import count_hops
from tests.serve.chain import Answer, InlineHandler, Request, the_same_each_time, visit

SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
SECURITY = "django.middleware.security.SecurityMiddleware"
FRAMES = "django.middleware.clickjacking.XFrameOptionsMiddleware"
CSP = "django.middleware.csp.ContentSecurityPolicyMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"
LINKS = "django.middleware.common.BrokenLinkEmailsMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
LOGIN = "django.contrib.auth.middleware.LoginRequiredMiddleware"
MESSAGE = "django.contrib.messages.middleware.MessageMiddleware"
LOCALE = "django.middleware.locale.LocaleMiddleware"
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"
GZIP = "django.middleware.gzip.GZipMiddleware"

# What has to stand before it.
NEEDS = {AUTH: [SESSION], LOGIN: [SESSION, AUTH], MESSAGE: [SESSION]}
# Which Django does not have all of them.
HAS_CSP = django.VERSION >= (6, 0)
MAILERS = (
    {
        "MAILERS": {
            "default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}
        }
    }
    if django.VERSION >= (6, 1)
    else {}
)
CACHED = {"SESSION_ENGINE": "django.contrib.sessions.backends.cache"}
PREFIXED = {"ROOT_URLCONF": "tests.serve.urls_prefixed"}
PARTLY = {"ROOT_URLCONF": "tests.serve.urls_partly_prefixed"}
COOKIE = {"cookie": "csrftoken=" + "a" * 32}
GERMAN = {"accept-language": "de-AT, de;q=0.8, en;q=0.5"}
GZIPPED = {"accept-encoding": "gzip"}


HOME = Request()


@dataclass(frozen=True)
class Case:
    """One request, and the hops that one middleware makes of it."""

    middleware: str
    # As the docs tell it; several cases of one line share it.
    when: str
    hops: int
    request: Request = HOME
    settings: dict[str, Any] = field(default_factory=dict)
    # What the visitor's session holds, None if there is none.
    session: dict[str, str] | None = None
    # On Django 5.2, if it differs.
    hops_52: int | None = None
    needs: tuple[str, ...] = ()
    # Those that were used before.
    languages: tuple[str, ...] = ("da", "de", "en", "en-us")

    @property
    def name(self) -> str:
        return self.middleware.rpartition(".")[2]

    @property
    def expected(self) -> int:
        is_old = django.VERSION < (6, 0) and self.hops_52 is not None
        return self.hops_52 if is_old else self.hops

    def overridden(self) -> override_settings:
        before = [*NEEDS.get(self.middleware, ()), *self.needs]
        return override_settings(
            **{
                "ROOT_URLCONF": "tests.serve.urls",
                "MIDDLEWARE": [*before, self.middleware],
                **self.settings,
            }
        )

    @asynccontextmanager
    async def site(self) -> Iterator[Request]:
        """The site as the request finds it, which the request does not change."""
        with self.overridden(), the_same_each_time(), translation.override(None):
            block = transaction.atomic()
            await sync_to_async(block.__enter__)()
            try:
                await Tag.objects.aget_or_create(name="red")
                used = await sync_to_async(translations)(self.languages)
                with mock.patch.dict(trans_real._translations, used, clear=True):
                    yield await self.request_of_visitor()
            finally:
                await sync_to_async(transaction.set_rollback)(True)
                await sync_to_async(block.__exit__)(None, None, None)
                await sync_to_async(clear_cache)()

    async def request_of_visitor(self) -> Request:
        if self.session is None:
            return self.request
        store = import_module(settings.SESSION_ENGINE).SessionStore()
        await store.aupdate(self.session)
        await sync_to_async(store.save)()
        headers = dict(self.request.headers or {})
        cookie = f"{settings.SESSION_COOKIE_NAME}={store.session_key}"
        headers["cookie"] = "; ".join(filter(None, (headers.get("cookie"), cookie)))
        return Request(
            self.request.path, self.request.method, headers, self.request.body
        )

    async def answered(self, handler: type[ASGIHandler]) -> Answer:
        async def answer():
            async with self.site() as request:
                return await visit(await made(handler), request)

        # A task's own context is forgotten with it.
        return await asyncio.create_task(answer())

    async def measured(self) -> int:
        return await asyncio.create_task(self.measure())

    async def measure(self) -> int:
        async with self.site() as request:
            handler = await made(InlineHandler)
            with count_hops() as hops:
                await visit(handler, request)
        return sum(hop.function.name.startswith(f"{self.name}.") for hop in hops.hops)


async def made(handler: type[ASGIHandler]) -> ASGIHandler:
    """Make a handler off the loop, in a context that no request sees."""
    return await sync_to_async(copy_context().run)(handler)


def clear_cache() -> None:
    caches["default"].clear()


def translations(languages: Iterable[str]) -> dict[str, Any]:
    return {language: trans_real.translation(language) for language in languages}


def get(path: str, **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(path, headers=named)


def cases() -> Iterator[Case]:
    yield Case(SECURITY, "always", 0)
    yield Case(
        SECURITY,
        "always",
        0,
        settings={"SECURE_SSL_REDIRECT": True, "SECURE_REDIRECT_EXEMPT": ["^open/"]},
    )
    yield Case(FRAMES, "always", 0)
    if HAS_CSP:
        yield Case(CSP, "always", 0, settings={"SECURE_CSP": {"default-src": ["x"]}})
    yield Case(AUTH, "always", 0)
    yield Case(AUTH, "always", 0, get("/user/"), session={"color": "red"})
    yield from session_cases()
    yield from common_cases()
    yield from csrf_cases()
    yield from login_cases()
    yield from message_cases()
    yield from locale_cases()
    yield from body_cases()


def session_cases() -> Iterator[Case]:
    unchanged = "the session is not modified, or it is empty"
    for engine in ("cache", "cached_db", "db", "file", "signed_cookies"):
        chosen = {"SESSION_ENGINE": f"django.contrib.sessions.backends.{engine}"}
        if engine != "file":
            yield Case(SESSION, unchanged, 0, get("/"), chosen, {"color": "red"})
            read = get("/session/read/")
            yield Case(SESSION, unchanged, 0, read, chosen, {"color": "red"})
        yield Case(SESSION, unchanged, 0, get("/session/read/"), chosen)
        expired = get("/session/read/", cookie="sessionid=" + "z" * 32)
        # Django itself makes a new session of a cookie that is not signed.
        if engine != "signed_cookies":
            yield Case(SESSION, unchanged, 0, expired, chosen)
        short = get("/session/read/", cookie="sessionid=short")
        yield Case(SESSION, unchanged, 0, short, chosen)
        yield Case(SESSION, unchanged, 0, get("/session/clear/"), chosen)
    yield Case(SESSION, unchanged, 0, get("/session/flush/"), session={"a": "b"})
    yield Case(SESSION, unchanged, 0, get("/session/drop/"), session={"a": "b"})
    yield Case(SESSION, unchanged, 0, settings={"SESSION_SAVE_EVERY_REQUEST": True})
    saved = "the session is saved"
    for path in ("write", "fail", "expire"):
        request = get(f"/session/{path}/")
        yield Case(SESSION, saved, 1, request)
        yield Case(SESSION, saved, 1, request, session={"color": "red"})
        yield Case(SESSION, saved, 1, request, CACHED)
    yield Case(SESSION, saved, 1, get("/session/clear/"), session={"color": "red"})
    always = {"SESSION_SAVE_EVERY_REQUEST": True}
    yield Case(SESSION, saved, 1, get("/"), always, {"color": "red"})
    theirs = "`SESSION_ENGINE` is not one of Django's"
    engine = {"SESSION_ENGINE": "tests.serve.theirs"}
    yield Case(SESSION, theirs, 2, get("/session/read/"), engine)
    backend = {"default": {"BACKEND": "tests.serve.theirs.Cache"}}
    yield Case(
        SESSION,
        "the session is in a cache whose `BACKEND` is not one of Django's",
        1,
        get("/session/read/"),
        {**CACHED, "CACHES": backend},
    )


def common_cases() -> Iterator[Case]:
    found = "a path that is found, or ends with a slash"
    yield Case(COMMON, found, 0)
    yield Case(COMMON, found, 0, get("/missing/"))
    yield Case(COMMON, found, 0, get("/nowhere/"))
    yield Case(COMMON, found, 0, get("/stream/"))
    yield Case(COMMON, found, 0, get("/"), {"PREPEND_WWW": True})
    off = {"APPEND_SLASH": False}
    yield Case(COMMON, found, 0, get("/nowhere"), off)
    yield Case(COMMON, found, 0, get("/nowhere"), {**off, "PREPEND_WWW": True})
    slash = "a 404 whose path ends without a slash"
    for path in ("/missing", "/nowhere", "/session/read?a=b", "/tag/red", "/tag/blue"):
        yield Case(COMMON, slash, 1, get(path))
    www = "a path without a slash, with `PREPEND_WWW`"
    yield Case(COMMON, www, 1, get("/tag/red"), {"PREPEND_WWW": True})
    never = "a path that is found, or a 404 that needs no email"
    emailed = "a 404 that Django reports by email"
    managers = ["manager@example.com"] if HAS_CSP else [("Ann", "manager@example.com")]
    told = {"MANAGERS": managers, "IGNORABLE_404_URLS": [], **MAILERS}
    elsewhere = {"referer": "http://example.com/page"}
    yield Case(LINKS, never, 0, get("/", **elsewhere), told)
    yield Case(LINKS, never, 0, get("/missing/"), told)
    bot = {"referer": "http://testserver/missing/"}
    yield Case(LINKS, never, 0, get("/missing/", **bot), told)
    yield Case(LINKS, never, 0, get("/missing/", **elsewhere), {**told, "DEBUG": True})
    yield Case(LINKS, emailed, 1, get("/missing/", **elsewhere), told)


def csrf_cases() -> Iterator[Case]:
    safe = "GET, HEAD, OPTIONS and TRACE, and any method of a `csrf_exempt` view"
    for method in ("GET", "HEAD", "OPTIONS", "TRACE"):
        yield Case(CSRF, safe, 0, Request("/", method))
        yield Case(CSRF, safe, 0, Request("/token/", method, COOKIE))
    yield Case(CSRF, safe, 0, get("/token/"))
    yield Case(CSRF, safe, 0, get("/token/", cookie="csrftoken=wrong!"))
    yield Case(CSRF, safe, 0, get("/token/rotated/", **COOKIE))
    yield Case(CSRF, safe, 0, Request("/exempt/", "POST"))
    unsafe = "other methods"
    form = {**COOKIE, "content-type": "application/x-www-form-urlencoded"}
    for token in ("a" * 32, "b" * 32):
        sent = f"csrfmiddlewaretoken={token}".encode()
        yield Case(CSRF, unsafe, 1, Request("/", "POST", form, sent))
        header = {**COOKIE, "x-csrftoken": token}
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            yield Case(CSRF, unsafe, 1, Request("/", method, header))
    yield Case(CSRF, unsafe, 1, Request("/", "POST"))
    sessions = {"CSRF_USE_SESSIONS": True}
    kept = "any method, with `CSRF_USE_SESSIONS`"
    new = "a new token, with `CSRF_USE_SESSIONS`"
    stored = {"_csrftoken": "a" * 32}
    needs = (SESSION,)
    yield Case(CSRF, kept, 1, get("/"), sessions, stored, needs=needs)
    yield Case(CSRF, new, 2, get("/token/"), sessions, needs=needs)
    yield Case(CSRF, new, 2, get("/token/"), sessions, stored, needs=needs)


def login_cases() -> Iterator[Case]:
    is_open = "a view with `@login_not_required`, on Django 6.0 or later"
    yield Case(LOGIN, is_open, 0, get("/open/"), hops_52=1)
    yield Case(LOGIN, is_open, 0, get("/open/"), session={"a": "b"}, hops_52=1)
    yield Case(LOGIN, "other views", 1, get("/"))
    yield Case(LOGIN, "other views", 1, get("/"), session={"a": "b"})


def message_cases() -> Iterator[Case]:
    storages = "django.contrib.messages.storage"
    fallback = {"MESSAGE_STORAGE": f"{storages}.fallback.FallbackStorage"}
    cookie = {"MESSAGE_STORAGE": f"{storages}.cookie.CookieStorage"}
    session = {"MESSAGE_STORAGE": f"{storages}.session.SessionStorage"}
    none = "no messages are added or shown"
    changed = "messages are added or shown"
    stored = CookieStorage(RequestFactory().get("/"))._encode([Message(25, "Saved.")])
    old = {"cookie": f"messages={stored}"}
    forged = {"cookie": f"messages={stored}x"}
    for storage in (fallback, cookie, session):
        yield Case(MESSAGE, none, 0, get("/"), storage, {"color": "red"})
        yield Case(MESSAGE, none, 0, get("/", **old), storage)
        yield Case(MESSAGE, changed, 1, get("/messages/add/"), storage)
        yield Case(MESSAGE, changed, 1, get("/messages/many/"), storage)
    yield Case(MESSAGE, none, 0, get("/messages/read/"), fallback)
    yield Case(MESSAGE, none, 0, get("/messages/read/", **forged), fallback)
    yield Case(MESSAGE, changed, 1, get("/messages/read/", **old), fallback)
    yield Case(MESSAGE, changed, 1, get("/messages/read/", **old), cookie)
    shown = get("/messages/read/")
    waiting = {"_messages": '[["__json_message",0,25,"Saved.",""]]'}
    yield Case(MESSAGE, changed, 1, shown, session, waiting)
    yield Case(MESSAGE, changed, 1, shown, cookie)
    theirs = "`MESSAGE_STORAGE` is not one of Django's"
    storage = {"MESSAGE_STORAGE": "tests.serve.theirs.Storage"}
    yield Case(MESSAGE, theirs, 2, get("/"), storage)
    signer = {"SIGNING_BACKEND": "tests.serve.theirs.Signer"}
    yield Case(MESSAGE, "`SIGNING_BACKEND` is not Django's", 1, get("/"), signer)


def locale_cases() -> Iterator[Case]:
    known = "a language that was used before"
    new = "the first use of a language in the process"
    greeting = get("/greeting/", **GERMAN)
    danish = {"cookie": "django_language=da"}
    for case in (
        greeting,
        get("/greeting/"),
        get("/greeting/", **danish),
        get("/danish/", **GERMAN),
        get("/missing/", **GERMAN),
        get("/greeting/", cookie="django_language=nowhere"),
    ):
        yield Case(LOCALE, known, 0, case)
    for path in ("/de/greeting/", "/da/greeting/"):
        yield Case(LOCALE, known, 0, get(path, **GERMAN), PREFIXED)
        yield Case(LOCALE, known, 0, get(path, **GERMAN), PARTLY)
    yield Case(LOCALE, known, 0, greeting, PARTLY)
    for request, chosen in ((greeting, {}), (greeting, PARTLY)):
        yield Case(LOCALE, new, 1, request, chosen, languages=())
    # Without a prefix it is the default language that is used.
    english = get("/greeting/", accept_language="en")
    yield Case(LOCALE, new, 1, english, PARTLY, languages=("en",))
    prefix = "a 404, with `i18n_patterns()`"
    for path in ("/greeting/", "/greeting", "/tag/red/", "/tag/blue/"):
        yield Case(LOCALE, prefix, 1, get(path, **GERMAN), PREFIXED)
    yield Case(LOCALE, prefix, 1, get("/nowhere/", **GERMAN), PARTLY)


def body_cases() -> Iterator[Case]:
    for path in ("/stream/", "/sync-stream/"):
        yield Case(CONDITIONAL, "a stream", 0, get(path))
        yield Case(GZIP, "a stream", 0, get(path, **GZIPPED))
    large, small = f"a body of more than {HASHED // 1024} KiB", "a smaller body"
    for request in (
        get("/"),
        get(f"/body/{HASHED}/"),
        get("/not-stored/"),
        get("/", if_none_match='"13042c92f147d59facde444feeacb8cd"'),
    ):
        yield Case(CONDITIONAL, small, 0, request)
    tagged = "a response that has an ETag, or a method other than GET"
    yield Case(CONDITIONAL, tagged, 0, get("/tagged/", if_none_match='"tag"'))
    yield Case(CONDITIONAL, tagged, 0, Request(f"/body/{HASHED + 1}/", "POST"))
    since = {"if_modified_since": "Mon, 01 Jan 2024 00:00:00 GMT"}
    yield Case(CONDITIONAL, small, 0, get("/dated/", **since))
    yield Case(CONDITIONAL, large, 1, get(f"/body/{HASHED + 1}/"))
    large = f"a body of more than {COMPRESSED // 1024} KiB"
    for path in ("/", "/tagged/", "/encoded/", "/body/200/", f"/body/{COMPRESSED}/"):
        yield Case(GZIP, small, 0, get(path, **GZIPPED))
    plain = "a client that does not accept gzip"
    yield Case(GZIP, plain, 0, get(f"/body/{COMPRESSED + 1}/", accept_encoding="br"))
    yield Case(GZIP, large, 1, get(f"/body/{COMPRESSED + 1}/", **GZIPPED))


def as_markdown(measured: Iterable[tuple[Case, int]]) -> str:
    """The table as the docs print it."""
    hops: dict[tuple[str, str], set[int]] = {}
    for case, count in measured:
        hops.setdefault((case.name, case.when), set()).add(count)
    lines = ["| Middleware | Request or response | Hops |", "|---|---|---|"]
    for (name, when), counts in hops.items():
        (count,) = counts
        lines.append(f"| `{name}` | {when} | {count} |")
    return "\n".join([*lines, ""])


assert {case.middleware for case in cases()} | {CSP} == set(INLINE)
