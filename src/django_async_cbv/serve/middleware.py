"""Django's own middleware for the async chain, on the loop where it does no I/O."""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import Any

import django
from asgiref.sync import (
    iscoroutinefunction,
    markcoroutinefunction,
    sync_to_async,
)
from django.conf import settings
from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage
from django.core.handlers.exception import (
    convert_exception_to_response,
    response_for_exception,
)
from django.utils import translation
from django.utils.deprecation import MiddlewareMixin
from django.utils.module_loading import import_string
from django.utils.translation import trans_real

__all__ = [
    "COMPRESSED",
    "HASHED",
    "INLINE",
    "Inline",
    "Paged",
    "swapped",
    "taking_pages",
]

# The largest bodies, in bytes, that keep the loop for less than a millisecond: 32 KiB
# of HTML take 0.6 to 0.7 ms to compress, and 256 KiB take 0.4 ms to hash.
COMPRESSED, HASHED = 32 * 1024, 256 * 1024

_STORAGES: tuple[type, ...] = (CookieStorage, FallbackStorage, SessionStorage)
_STORAGE_PATHS = {f"{one.__module__}.{one.__qualname__}" for one in _STORAGES}
_ENGINES = {
    f"django.contrib.sessions.backends.{engine}.SessionStore"
    for engine in ("cache", "cached_db", "db", "file", "signed_cookies")
}


def _path(cls: Any) -> str:
    return f"{getattr(cls, '__module__', '')}.{getattr(cls, '__qualname__', '')}"


class Inline(MiddlewareMixin):
    """Stands before a middleware of Django's in the MRO; its rules say "always"."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        if self.async_mode:
            self._prepare()
            if hasattr(self, "process_view"):
                # The handler calls a sync process_view() in a hop, an async one not.
                vars(self)["process_view"] = self._aprocess_view

    async def __acall__(self, request: Any) -> Any:
        """Do what Django's does, where something else stands outside of this."""
        return await _through([self], self.get_response, request, _raise)

    async def _aprocess_view(self: Any, request: Any, view: Any, *args: Any) -> Any:
        method = type(self).process_view
        if self._view_is_inline(request, view):
            return method(self, request, view, *args)
        return await sync_to_async(method.__get__(self))(request, view, *args)

    def _prepare(self) -> None:
        """Do once, when the handler is made, what would be I/O in a request."""

    def _view_is_inline(self, request: Any, view: Any) -> bool:
        return False

    def _is_inline(self, request: Any, response: Any = None) -> bool:
        """Give the rule for a request, or for the response to it."""
        return True


class Paged(BaseException):
    """
    Carries the error page of a view past what Django does with a view's response.

    No Exception, because Django's handler would ask the exception middleware.
    """

    def __init__(self, page: Any = None, error: Exception | None = None) -> None:
        super().__init__()
        self.page, self.error = page, error


def answering_exceptions(get_response: Any) -> Any:
    """Make error pages as Django does, but in the thread of the request."""
    if not iscoroutinefunction(get_response):
        return convert_exception_to_response(get_response)
    if isinstance(get_response, Inline):
        return _Row(get_response)

    @functools.wraps(get_response)
    async def inner(request: Any) -> Any:
        try:
            response = await get_response(request)
        except Exception as exc:  # noqa: BLE001 - as Django does
            response = await sync_to_async(response_for_exception)(request, exc)
        return response

    return inner


def taking_pages(get_response: Any) -> Any:
    """Do as answering_exceptions(), where a view's page may have been made already."""
    answer = answering_exceptions(get_response)

    @functools.wraps(get_response)
    async def inner(request: Any) -> Any:
        try:
            return await answer(request)
        except Paged as paged:
            page, error = paged.page, paged.error
        if error is not None:
            # It could not be made: this is for the next middleware, as Django does.
            raise error
        return page

    return inner


class _Row:
    """Inline middleware, one around the other, in one coroutine."""

    def __init__(self, first: Any) -> None:
        self._row, self._get_response = [first], first.get_response
        if isinstance(rest := first.get_response, _Row):
            self._row += rest._row
            self._get_response = rest._get_response
        markcoroutinefunction(self)

    async def __call__(self, request: Any) -> Any:
        return await _through(self._row, self._get_response, request, _page)


def is_final(chain: Any, innermost: Any, request: Any, response: Any) -> bool:
    """Whether a chain around `innermost` leaves the status of an error page alone."""
    row, get_response = [], chain
    if isinstance(chain, _Row):
        row, get_response = chain._row, chain._get_response
    # Middleware that replaces a 404 reads the URLconf, and does not run on the event
    # loop.
    return getattr(get_response, "__wrapped__", None) == innermost and all(
        one._is_inline(request, response)
        for one in row
        if hasattr(one, "process_response")
    )


async def _through(row: Any, get_response: Any, request: Any, failed: Any) -> Any:
    """Do what Django's chain does, in as few hops as the rules of the row allow."""
    response: Any = None
    entered = 0
    for one in row:
        if method := getattr(one, "process_request", None):
            try:
                if one._is_inline(request):
                    response = method(request)
                else:
                    response = await sync_to_async(method)(request)
            except Exception as exc:  # noqa: BLE001 - as Django does
                response = await failed(request, exc)
                break
        entered += 1
        if response:
            break
    else:
        response = await get_response(request)
    for one in reversed(row[:entered]):
        if method := getattr(one, "process_response", None):
            try:
                if one._is_inline(request, response):
                    response = method(request, response)
                else:
                    response = await sync_to_async(method)(request, response)
            except Exception as exc:  # noqa: BLE001 - as Django does
                response = await failed(request, exc)
    return response


async def _raise(_: Any, exc: Exception) -> Any:
    raise exc


async def _page(request: Any, exc: Exception) -> Any:
    """Have the worker of the request make an error page."""
    return await sync_to_async(response_for_exception)(request, exc)


class _Common(Inline):
    def _is_inline(self, request: Any, response: Any = None) -> bool:
        asked = (
            settings.PREPEND_WWW if response is None else response.status_code == 404
        )
        may_append = settings.APPEND_SLASH and not request.path_info.endswith("/")
        # Django then resolves the path with a slash, and converters may query.
        return not (asked and may_append)


class _BrokenLinkEmails(Inline):
    def _is_inline(self: Any, request: Any, response: Any = None) -> bool:
        if response.status_code != 404 or settings.DEBUG:
            return True
        host, referer = request.get_host(), request.META.get("HTTP_REFERER", "")
        path = request.get_full_path()
        return bool(self.is_ignorable_request(request, path, host, referer))


class _Session(Inline):
    _is_pure = False

    def _prepare(self: Any) -> None:
        # The first store imports the serializer and the cache, and looks for the folder
        # of files. If this fails, each request fails later, in a worker thread.
        if _path(self.SessionStore) in _ENGINES:
            with contextlib.suppress(Exception):
                cache = _path(type(getattr(self.SessionStore(), "_cache", None)))
                self._is_pure = cache.startswith(("builtins.", "django.core.cache."))

    def _is_inline(self, request: Any, response: Any = None) -> bool:
        if response is None:
            return self._is_pure
        session: Any = getattr(request, "session", None)
        if _path(type(session)) not in _ENGINES:
            return session is None
        # For an empty session, Django only deletes the cookie.
        is_saved = session.modified or settings.SESSION_SAVE_EVERY_REQUEST
        return not is_saved or session.is_empty()


class _Csrf(Inline):
    def _is_inline(self, request: Any, response: Any = None) -> bool:
        is_read = response is None or request.META.get("CSRF_COOKIE_NEEDS_UPDATE")
        return not (is_read and settings.CSRF_USE_SESSIONS)

    def _view_is_inline(self, request: Any, view: Any) -> bool:
        # Other requests may read the body and render an error page. Requests of the
        # test client cost a hop too, though Django does not check them.
        is_safe = request.method in {"GET", "HEAD", "OPTIONS", "TRACE"}
        return is_safe or getattr(view, "csrf_exempt", False)


class _Message(Inline):
    def _is_inline(self, request: Any, response: Any = None) -> bool:
        if response is None:
            # The cookie storage makes a signer.
            is_known = settings.SIGNING_BACKEND == "django.core.signing.TimestampSigner"
            return is_known and settings.MESSAGE_STORAGE in _STORAGE_PATHS
        storage: Any = getattr(request, "_messages", None)
        if type(storage) not in _STORAGES or storage.added_new:
            return False
        # Reading messages in a template uses the storage, even if there are none.
        return not (storage.used and getattr(storage, "_used_storages", True))


class _Locale(Inline):
    def _prepare(self) -> None:
        # Django looks for the catalog of each language on the disk, once.
        for code in trans_real.get_languages():
            trans_real.check_for_language(code)

    def _is_inline(self, request: Any, response: Any = None) -> bool:
        urlconf = getattr(request, "urlconf", settings.ROOT_URLCONF)
        if urlconf not in sys.modules:
            return False  # it would be imported
        used, default_is_prefixed = is_language_prefix_patterns_used(urlconf)
        if response is not None:
            # For a 404, Django resolves the path with a language prefix, and converters
            # may query.
            return response.status_code != 404 or not used
        languages = {translation.get_language_from_request(request, used)}
        if used and not default_is_prefixed:
            languages.add(settings.LANGUAGE_CODE)
        return bool(languages <= vars(trans_real)["_translations"].keys())


class _ConditionalGet(Inline):
    def _is_inline(self, request: Any, response: Any = None) -> bool:
        is_hashed = request.method == "GET" and not response.has_header("ETag")
        return not is_hashed or response.streaming or len(response.content) <= HASHED


class _GZip(Inline):
    def _is_inline(self, request: Any, response: Any = None) -> bool:
        is_asked = "gzip" in request.META.get("HTTP_ACCEPT_ENCODING", "")
        return not is_asked or response.streaming or len(response.content) <= COMPRESSED


class _LoginRequired(Inline):
    def _view_is_inline(self, request: Any, view: Any) -> bool:
        # Before version 6.0, Django loads the user even for a view without
        # login_required.
        return django.VERSION >= (6, 0) and not getattr(view, "login_required", True)


# By path, because the import of a class may need ready apps, or an app that is not
# installed.
INLINE: dict[str, type[Inline]] = {
    "django.contrib.auth.middleware.AuthenticationMiddleware": Inline,
    "django.contrib.auth.middleware.LoginRequiredMiddleware": _LoginRequired,
    "django.contrib.messages.middleware.MessageMiddleware": _Message,
    "django.contrib.sessions.middleware.SessionMiddleware": _Session,
    "django.middleware.clickjacking.XFrameOptionsMiddleware": Inline,
    "django.middleware.common.BrokenLinkEmailsMiddleware": _BrokenLinkEmails,
    "django.middleware.common.CommonMiddleware": _Common,
    "django.middleware.csp.ContentSecurityPolicyMiddleware": Inline,
    "django.middleware.csrf.CsrfViewMiddleware": _Csrf,
    "django.middleware.gzip.GZipMiddleware": _GZip,
    "django.middleware.http.ConditionalGetMiddleware": _ConditionalGet,
    "django.middleware.locale.LocaleMiddleware": _Locale,
    "django.middleware.security.SecurityMiddleware": Inline,
}


def swapped(middleware: Any) -> Any:
    """Return the variant of exactly a class of Django's, anything else unchanged."""
    path = _path(middleware)
    # A wrapper may have the name of the class that it wraps.
    if (rules := INLINE.get(path)) and import_string(path) is middleware:
        return type(middleware.__name__, (rules, middleware), {"__module__": __name__})
    return middleware
