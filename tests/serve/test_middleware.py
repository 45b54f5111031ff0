"""Django's middleware on the loop: what it answers, in how many hops, and whose."""

from __future__ import annotations

import ast
import asyncio
import functools
import os
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from unittest import mock

import django
import pytest
from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from blockbuster import BlockingError, blockbuster_ctx
from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.contrib.messages import storage
from django.contrib.messages.storage.base import BaseStorage
from django.contrib.sessions import backends
from django.contrib.sessions.middleware import SessionMiddleware
from django.core import mail
from django.core.exceptions import SynchronousOnlyOperation
from django.core.handlers import base
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.locale import LocaleMiddleware
from django.middleware.security import SecurityMiddleware
from django.test import RequestFactory, SimpleTestCase, TestCase, override_settings
from django.utils.decorators import async_only_middleware, sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin
from django.utils.module_loading import import_string
from django.utils.translation import trans_real

from django_async_cbv.serve import middleware as ours
from django_async_cbv.serve.middleware import INLINE, Inline, swapped
from tests.hops import count_hops
from tests.serve import inline_table
from tests.serve.chain import (
    InlineHandler,
    Request,
    import_swapped,
    the_same_each_time,
    visit,
)
from tests.serve.inline_table import COOKIE, GERMAN, GZIPPED, Case, get

DOCS_TABLE = Path(__file__).parents[2] / "docs" / "how-to" / "middleware-table.md"
CASES = list(inline_table.cases())
INSTALLED = [name for name in INLINE if inline_table.HAS_CSP or ".csp." not in name]

# All others of Django's, each with the reason for which it is left alone.
LEFT_ALONE = {
    "django.contrib.admindocs.middleware.XViewMiddleware": "it loads the user",
    "django.contrib.auth.middleware.PersistentRemoteUserMiddleware": "it is async",
    "django.contrib.auth.middleware.RemoteUserMiddleware": "it is async",
    "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware": "it queries",
    "django.contrib.redirects.middleware.RedirectFallbackMiddleware": "it queries",
    "django.contrib.sites.middleware.CurrentSiteMiddleware": "it queries",
    "django.middleware.cache.CacheMiddleware": "it waits for the cache",
    "django.middleware.cache.FetchFromCacheMiddleware": "it waits for the cache",
    "django.middleware.cache.UpdateCacheMiddleware": "it waits for the cache",
}
# Every one that a site may have, in the order that Django's docs give.
WHOLE = [
    inline_table.SECURITY,
    inline_table.GZIP,
    inline_table.CONDITIONAL,
    inline_table.SESSION,
    inline_table.LOCALE,
    inline_table.LINKS,
    inline_table.COMMON,
    inline_table.CSRF,
    inline_table.AUTH,
    inline_table.MESSAGE,
    inline_table.FRAMES,
    *([inline_table.CSP] if inline_table.HAS_CSP else []),
]
EVERYTHING = {
    "MIDDLEWARE": WHOLE,
    "MANAGERS": [],
    **({"SECURE_CSP": {"script-src": ["nonce"]}} if inline_table.HAS_CSP else {}),
}


class TestTable(TestCase):
    """Each case of the table: its hops, and that the answer is Django's."""

    @pytest.fixture(autouse=True)
    def django_reads_sessions_on_the_loop(self, forbid_blocking):
        forbid_blocking.allow("django.contrib.sessions.backends.file:*.aload")

    async def test_hops(self):
        """The docs' table is written anew with MIDDLEWARE_TABLE=write around it."""
        measured = [(case, await case.measured()) for case in CASES]
        for case, hops in measured:
            with self.subTest(case.name, when=case.when, request=case.request):
                self.assertEqual(hops, case.expected)
        if django.VERSION >= (6, 0):
            table = inline_table.as_markdown(measured)
            if os.environ.get("MIDDLEWARE_TABLE") == "write":
                await sync_to_async(DOCS_TABLE.write_text)(table)
            self.assertEqual(await sync_to_async(DOCS_TABLE.read_text)(), table)

    async def test_answers(self):
        for case in CASES:
            with self.subTest(case.name, when=case.when, request=case.request):
                djangos = await case.answered(ASGIHandler)
                self.assertNotEqual(djangos.status, 500)
                self.assertEqual(await case.answered(InlineHandler), djangos)

    def test_every_middleware_has_a_case(self):
        self.assertEqual({case.middleware for case in CASES}, set(INSTALLED))

    async def test_every_hop_is_needed(self):
        """On the loop it would block: here mail does not, and what takes only time."""
        blocking = {
            (case.name, case.when)
            for case in CASES
            if case.expected
            and not re.search("a body of more than|by email", case.when)
        }
        blocked = set()

        def on_the_loop(method):
            async def call(*args):
                try:
                    # It raises in the call, which has then done nothing yet.
                    with blockbuster_ctx():
                        return method(*args)
                except (BlockingError, SynchronousOnlyOperation):
                    blocked.add((case.name, case.when))
                    return await sync_to_async(method)(*args)

            return call

        with mock.patch.object(ours, "sync_to_async", on_the_loop):
            for case in CASES:
                if (case.name, case.when) in blocking - blocked:
                    await case.answered(InlineHandler)
        self.assertEqual(blocked, blocking)


class TestWhole(TestCase):
    """A site with all of them."""

    REQUESTS = [
        get("/"),
        get("/", **COOKIE, **GERMAN, **GZIPPED),
        get("/token/", **GZIPPED),
        get("/token/rotated/", **COOKIE),
        get("/body/5000/", **GZIPPED, **GERMAN),
        get("/body/5000/", if_none_match='W/"8f8dc6d5d2d8ae66d5d24a6b8c2b5f5c"'),
        get("/body/50000/", **GZIPPED),
        get("/body/300000/"),
        get("/session/read/"),
        get("/session/write/"),
        get("/session/flush/"),
        get("/session/expire/"),
        get("/messages/add/", **GERMAN),
        get("/messages/many/"),
        get("/messages/read/"),
        get("/user/"),
        get("/greeting/", **GERMAN),
        get("/greeting"),
        get("/tag/red"),
        get("/tag/blue"),
        get("/missing/", **GERMAN),
        get("/forbidden/"),
        get("/broken/"),
        get("/stream/", **GZIPPED),
        get("/sync/"),
        get("/", user_agent="a robot"),
        Request("/", "HEAD"),
        Request("/", "POST"),
        Request("/", "POST", {**COOKIE, "x-csrftoken": "a" * 32}),
        Request("/exempt/", "POST"),
    ]
    SITES = [
        EVERYTHING,
        {**EVERYTHING, "PREPEND_WWW": True},
        {**EVERYTHING, "CSRF_USE_SESSIONS": True},
        {**EVERYTHING, "SESSION_SAVE_EVERY_REQUEST": True},
        {**EVERYTHING, "DEBUG": True},
        {**EVERYTHING, "DISALLOWED_USER_AGENTS": [re.compile("robot")]},
        {**EVERYTHING, "USE_I18N": False},
    ]

    async def test_answers(self):
        for site in self.SITES:
            for request in self.REQUESTS:
                # A page with a traceback asks for the user, where Django makes it.
                if not (site.get("DEBUG") and request.path == "/broken/"):
                    await self.compare(Case("", "", 0, request, site, {"color": "red"}))

    async def test_answers_to_strangers(self):
        for request in (*self.REQUESTS, get("/", host="elsewhere.example")):
            await self.compare(Case("", "", 0, request, EVERYTHING))

    async def compare(self, case):
        with self.subTest(
            case.request, settings=str(case.settings)[-60:], session=case.session
        ):
            djangos = await case.answered(ASGIHandler)
            given = await case.answered(InlineHandler)
            self.assertEqual(given, djangos)

    async def test_a_page_that_has_nothing_to_wait_for_makes_no_hop(self):
        hops = []
        for middleware in (WHOLE, []):
            site = {**EVERYTHING, "MIDDLEWARE": middleware}
            case = Case("", "", 0, get("/", **COOKIE, **GERMAN, **GZIPPED), site)
            async with case.site() as request:
                handler = await inline_table.made(InlineHandler)
                with count_hops() as counted:
                    answer = await visit(handler, request)
            self.assertEqual(answer.status, 200)
            hops.append(counted.count)
        self.assertEqual(*hops)

    async def test_it_keeps_what_a_language_cookie_asks_for(self):
        """The language is activated in the request's context, and in no other."""
        case = Case("", "", 0, get("/greeting/", **GERMAN), EVERYTHING)
        async with case.site() as request:
            handler = await inline_table.made(InlineHandler)
            german, english = await asyncio.gather(
                visit(handler, request), visit(handler, get("/greeting/"))
            )
        self.assertEqual((german.body, english.body), (b"Ja", b"Yes"))

    async def test_a_language_that_nobody_asked_for_yet(self):
        """Django looks for its catalogue on the disk: when the handler is made."""
        case = Case("", "", 0, get("/greeting/", **GERMAN), EVERYTHING)
        async with case.site() as request:
            await sync_to_async(trans_real.reset_cache)(setting="LANGUAGES")
            handler = await inline_table.made(InlineHandler)
            self.assertEqual((await visit(handler, request)).body, b"Ja")

    async def test_a_urlconf_is_not_imported_on_the_loop(self):
        chain = [f"{__name__}.routed_elsewhere", inline_table.LOCALE]
        case = Case("", "", 0, get("/greeting/"), {"MIDDLEWARE": chain})
        is_language_prefix_patterns_used.cache_clear()
        async with case.site() as request:
            handler = await inline_table.made(InlineHandler)
            for expected in (["process_request"], []):
                with count_hops() as hops:
                    self.assertEqual((await visit(handler, request)).status, 200)
                self.assertEqual(
                    [
                        hop.function.name.rpartition(".")[2]
                        for hop in hops.hops
                        if hop.function.name.startswith("Locale")
                    ],
                    expected,
                )

    async def test_the_email_is_sent(self):
        for case in CASES:
            if "by email" in case.when:
                await case.answered(InlineHandler)
                (message,) = mail.outbox
                self.assertIn("Broken link", message.subject)


class TestSwapped(SimpleTestCase):
    def test_each_class_of_django(self):
        for path in INSTALLED:
            djangos = import_string(path)
            variant = swapped(djangos)
            with self.subTest(path):
                self.assertIsNot(variant, djangos)
                self.assertTrue(issubclass(variant, djangos))
                self.assertTrue(issubclass(variant, Inline))
                self.assertEqual(variant.__name__, djangos.__name__)
                self.assertEqual(variant.sync_capable, djangos.sync_capable)
                self.assertEqual(variant.async_capable, djangos.async_capable)
                # It defines nothing of what Django's does, and is not swapped again.
                for rules in variant.__mro__[: variant.__mro__.index(djangos)]:
                    self.assertFalse(PROCESSES & vars(rules).keys())
                self.assertIs(swapped(variant), variant)

    def test_nothing_else(self):
        class Theirs(CsrfViewMiddleware):
            pass

        class CsrfLike(CsrfViewMiddleware):
            """A tracing agent's, which takes the name of what it wraps."""

        CsrfLike.__module__ = CsrfViewMiddleware.__module__
        CsrfLike.__name__ = CsrfLike.__qualname__ = "CsrfViewMiddleware"

        class Unhashable:
            __hash__ = None

        def function(get_response):
            return get_response

        for middleware in (
            Theirs,
            CsrfLike,
            function,
            functools.partial(CsrfViewMiddleware),
            Unhashable(),
            CsrfViewMiddleware(function),
            *map(import_string, LEFT_ALONE_AND_INSTALLED),
        ):
            with self.subTest(middleware):
                self.assertIs(swapped(middleware), middleware)

    def test_every_middleware_of_django_is_swapped_or_left_alone(self):
        found = set(middleware_of_django())
        self.assertEqual(found, {*INSTALLED, *LEFT_ALONE})

    def test_the_lists_of_django_s_classes(self):
        engines = {
            f"{backends.__name__}.{module.name}.SessionStore"
            for module in pkgutil.iter_modules(backends.__path__)
            if module.name != "base"
        }
        self.assertEqual(ours._ENGINES, engines)
        modules = pkgutil.walk_packages(storage.__path__, f"{storage.__name__}.")
        storages = {
            value
            for module in modules
            for value in vars(import_module(module.name)).values()
            if isinstance(value, type) and issubclass(value, BaseStorage)
        }
        self.assertEqual(set(ours._STORAGES), storages - {BaseStorage})

    def test_before_the_apps_are_ready(self):
        """It imports no middleware that may need an app."""
        code = """if True:
            import sys
            from django.conf import settings
            settings.configure()
            from django_async_cbv.serve import middleware
            from django.middleware.security import SecurityMiddleware
            variant = middleware.swapped(SecurityMiddleware)
            assert issubclass(variant, middleware.Inline), variant
            names = {path.rpartition(".")[0] for path in middleware.INLINE}
            print(*{name for name in names if ".contrib." in name} & sys.modules.keys())
        """
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        self.assertEqual((done.stderr, done.stdout), ("", "\n"))


PROCESSES = {
    "__call__",
    "process_exception",
    "process_request",
    "process_response",
    "process_template_response",
    "process_view",
}
LEFT_ALONE_AND_INSTALLED = [
    path for path in LEFT_ALONE if "flatpages" not in path and "redirects" not in path
]


def middleware_of_django():
    """Those in Django's source, importable or not."""
    root = Path(django.__file__).parent
    for path in (*root.glob("middleware/*.py"), *root.glob("contrib/*/middleware.py")):
        module = ".".join(path.relative_to(root.parent).with_suffix("").parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                names = {getattr(part, "name", "") for part in node.body}
                bases = " ".join(map(ast.unparse, node.bases))
                if names & PROCESSES or "Middleware" in bases + node.name:
                    yield f"{module}.{node.name}"


class TestSync(SimpleTestCase):
    """With a sync get_response they are Django's own."""

    def test_methods(self):
        for path in INSTALLED:
            djangos = import_string(path)
            middleware = swapped(djangos)(lambda request: HttpResponse())
            with self.subTest(path):
                self.assertFalse(iscoroutinefunction(middleware))
                self.assertEqual(vars(middleware).keys(), vars(djangos(len)).keys())
                for name in PROCESSES & set(dir(djangos)):
                    method = getattr(middleware, name)
                    self.assertIs(method.__func__, getattr(djangos, name))

    @override_settings(ROOT_URLCONF="tests.serve.urls", MIDDLEWARE=WHOLE)
    def test_a_sync_chain(self):
        for path in ("/sync/", "/nowhere", "/token/"):
            with self.subTest(path), the_same_each_time():
                handler = BaseHandler()
                handler.load_middleware()
                djangos = handler.get_response(RequestFactory().get(path))
            with self.subTest(path), the_same_each_time():
                handler = BaseHandler()
                with mock.patch.object(base, "import_string", import_swapped):
                    handler.load_middleware()
                given = handler.get_response(RequestFactory().get(path))
                self.assertEqual(given.content, djangos.content)
                self.assertEqual(dict(given.headers), dict(djangos.headers))
                self.assertEqual(given.cookies, djangos.cookies)


class TestBetweenOthers(TestCase):
    """Third-party middleware, and subclasses, between Django's own."""

    THEIRS = [f"{__name__}.{name}" for name in ("Sync", "Async", "hybrid", "Mixin")]
    SUBCLASSES = [f"{__name__}.{name}" for name in ("Security", "Csrf", "Session")]

    async def calls(self, handler, middleware, path="/"):
        CALLS.clear()
        case = Case("", "", 0, get(path), {"MIDDLEWARE": middleware})
        async with case.site() as request:
            # Whether it is sync, where it is made, and each call, and where that is.
            answer = await visit(await inline_table.made(handler), request)
        return answer, list(CALLS)

    async def test_the_same_calls_in_the_same_order(self):
        for between in (*self.THEIRS, *self.SUBCLASSES):
            for place in range(len(WHOLE) + 1):
                chain = [*WHOLE[:place], between, *WHOLE[place:]]
                path = "/broken/" if place % 3 else "/"
                with self.subTest(between, place=place, path=path):
                    djangos = await self.calls(ASGIHandler, chain, path)
                    self.assertTrue(djangos[1])
                    given = await self.calls(InlineHandler, chain, path)
                    self.assertEqual(given, djangos)

    async def test_all_of_them(self):
        between = [*self.THEIRS, *self.SUBCLASSES]
        chain = [
            path for pair in zip(WHOLE, between * 2, strict=False) for path in pair
        ]
        self.assertGreater(len(chain), 20)
        self.assertEqual(
            await self.calls(InlineHandler, chain), await self.calls(ASGIHandler, chain)
        )

    async def test_what_an_agent_put_on_django_s_class_is_called_once(self):
        for cls, name in (
            (SecurityMiddleware, "process_request"),
            (SecurityMiddleware, "process_response"),
            (CsrfViewMiddleware, "process_view"),
            (SessionMiddleware, "process_request"),
            (LocaleMiddleware, "process_response"),
        ):
            with (
                self.subTest(cls, method=name),
                mock.patch.object(
                    cls, name, autospec=True, side_effect=getattr(cls, name)
                ) as spy,
            ):
                await self.calls(InlineHandler, WHOLE)
                spy.assert_called_once()


CALLS = []


def note(*told):
    """Note a call, and whether it blocks the loop of whoever serves the request."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        CALLS.append((*told, "off the loop"))
    else:
        CALLS.append((*told, "on the loop"))


class Noting:
    """Notes each call, whatever the chain calls."""

    def __init__(self, get_response):
        super().__init__(get_response)
        note(type(self).__name__, "made", iscoroutinefunction(get_response))

    def process_request(self, request):
        note(type(self).__name__, "process_request", hasattr(request, "session"))
        method = getattr(super(), "process_request", lambda request: None)
        return method(request)

    def process_view(self, request, view, args, kwargs):
        note(type(self).__name__, "process_view", view.__name__)
        method = getattr(super(), "process_view", lambda *args: None)
        return method(request, view, args, kwargs)

    def process_exception(self, request, exception):
        note(type(self).__name__, "process_exception", repr(exception))

    def process_response(self, request, response):
        note(type(self).__name__, "process_response", sorted(response.headers))
        method = getattr(
            super(), "process_response", lambda request, response: response
        )
        return method(request, response)


class Mixin(Noting, MiddlewareMixin):
    pass


class Security(Noting, SecurityMiddleware):
    pass


class Csrf(Noting, CsrfViewMiddleware):
    pass


class Session(Noting, SessionMiddleware):
    pass


class Sync:
    def __init__(self, get_response):
        note("Sync", "made", iscoroutinefunction(get_response))
        self.get_response = get_response

    def __call__(self, request):
        note("Sync", "before", hasattr(request, "session"))
        response = self.get_response(request)
        note("Sync", "after", sorted(response.headers))
        return response

    def process_view(self, request, view, args, kwargs):
        note("Sync", "process_view", view.__name__)


class Async:
    sync_capable = False
    async_capable = True

    def __init__(self, get_response):
        note("Async", "made", iscoroutinefunction(get_response))
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request):
        note("Async", "before", hasattr(request, "session"))
        response = await self.get_response(request)
        note("Async", "after", sorted(response.headers))
        return response

    async def process_view(self, request, view, args, kwargs):
        note("Async", "process_view", view.__name__)


@async_only_middleware
def routed_elsewhere(get_response):
    async def middleware(request):
        request.urlconf = "tests.serve.urls_elsewhere"
        return await get_response(request)

    return middleware


@sync_and_async_middleware
def hybrid(get_response):
    note("hybrid", "made", iscoroutinefunction(get_response))
    if iscoroutinefunction(get_response):

        async def middleware(request):
            note("hybrid", "before", hasattr(request, "session"))
            response = await get_response(request)
            note("hybrid", "after", sorted(response.headers))
            return response
    else:

        def middleware(request):
            note("hybrid", "before", hasattr(request, "session"))
            response = get_response(request)
            note("hybrid", "after", sorted(response.headers))
            return response

    return middleware
