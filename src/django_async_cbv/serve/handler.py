"""Django's ASGI handler with a second, sync chain, and workers from a pool."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable
from contextvars import ContextVar
from io import BytesIO
from types import FunctionType, TracebackType
from typing import Any, Self, get_args

from asgiref.sync import (
    AsyncToSync,
    ThreadSensitiveContext,
    iscoroutinefunction,
    sync_to_async,
)
from django.conf import settings
from django.core import signals
from django.core.exceptions import ImproperlyConfigured, RequestAborted
from django.core.handlers import asgi, base
from django.core.handlers.exception import (
    convert_exception_to_response,
    response_for_exception,
)
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import (
    LocalePrefixPattern,
    URLPattern,
    URLResolver,
    converters,
    get_resolver,
    set_script_prefix,
    set_urlconf,
)
from django.urls.resolvers import RegexPattern, RoutePattern
from django.utils import translation
from django.utils.log import log_response
from django.utils.module_loading import import_string
from django.utils.translation import trans_real

from .._blocking.options import blocking_options
from .._blocking.timing import Timing
from .._blocking.watchdog import serves
from ..blocking import Detector, timings_of_settings
from ..core.colours import awaits, both_colours
from ..core.executors import request_executor
from ..core.naming import shows
from ..core.waiting import begin_with_wait
from ..trace import original_of, watch
from .middleware import Paged, answering_exceptions, is_final, swapped, taking_pages
from .pool import Lease, Overloaded, Pool, Release, Statistics
from .signals import Receivers

__all__ = ["Handler", "can_be_sync"]

# Whether this context has served a request already.
_serves: ContextVar[bool] = ContextVar("django_async_cbv_serves", default=False)


class _Choice(base.BaseHandler):
    """A chain that makes use of what was resolved to choose it."""

    def resolve_request(self, request: HttpRequest) -> Any:
        """Give the view; resolve again if middleware has changed where to look."""
        known = vars(request).pop("_known_match", None)
        if known is not None:
            path, match = known
            if request.path_info == path and not hasattr(request, "urlconf"):
                request.resolver_match = match
                return match
        return super().resolve_request(request)


class _SyncChain(_Choice):
    """Django's own sync handler, for requests whose view has nothing to await."""

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()

    def make_view_atomic(self, view: Any) -> Any:
        """Have a view of this package called as the sync view that it is here."""
        # Not for an agent's proxy, which Django wraps in async_to_sync().
        if (found := both_colours(view)) is not None and found is view:
            view = found.as_sync() or view
        return super().make_view_atomic(view)


class Handler(_Choice, asgi.ASGIHandler):
    """
    Serves a request whole in one hop where nothing has to be awaited.

    Other requests go through Django's async chain, with middleware that stays on the
    event loop where it does no I/O. See get_asgi_application() for the options.
    """

    # BaseHandler.load_middleware() sets these attributes.
    _middleware_chain: Any
    _exception_middleware: Any
    _template_response_middleware: Any
    # A method that django-stubs lacks.
    _get_response_async: Any

    def __init__(
        self,
        *,
        workers: int = 40,
        queue: int = 1000,
        queue_timeout: float = 30.0,
        release: Release = "between",
        sync_chain: bool = True,
    ) -> None:
        options: dict[str, Any] = {
            "workers": workers,
            "queue": queue,
            "queue_timeout": queue_timeout,
            "release": release,
        }
        _refuse_options(**options)
        self._make_pool: Callable[[asyncio.AbstractEventLoop], Pool] = (
            functools.partial(Pool, **options)
        )
        self._retry_after = str(max(1, round(queue_timeout)))
        # One pool for each event loop. After a fork, the old threads and loops do not
        # run.
        self._pools: weakref.WeakKeyDictionary[Any, Pool] = weakref.WeakKeyDictionary()
        super().__init__()
        kind = type(self)
        # Django's class, because a receiver may be connected for that sender only.
        self._sender: type = asgi.ASGIHandler if kind is Handler else kind
        blocking = blocking_options()
        self._detector = None if blocking is None else Detector(blocking)
        self.timings = timings_of_settings()
        if self.timings is not None:
            weakref.finalize(self, self.timings.end)
        self._sync_chain = (
            _SyncChain()
            if sync_chain and can_be_sync(map(import_string, settings.MIDDLEWARE))
            else None
        )

    def load_middleware(self, is_async: bool = False) -> None:
        """Load Django's own middleware as what stays on the event loop."""
        with _loading:
            # Django has no hook for the parts of its middleware chain, so its names are
            # replaced meanwhile.
            _base.import_string = _import_swapped
            _base.convert_exception_to_response = self._answering
            try:
                super().load_middleware(is_async)
            finally:
                _base.import_string = import_string
                _base.convert_exception_to_response = convert_exception_to_response

    def _answering(self, get_response: Any) -> Any:
        if get_response == self._get_response_async:
            return taking_pages(get_response)
        return answering_exceptions(get_response)

    @property
    def pool(self) -> Pool:
        """The pool of the running loop, made for it at the first request."""
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None or not pool.is_here:
            for other in [one for one in self._pools if one.is_closed()]:
                self._pools.pop(other).close(0)
            pool = self._pools[loop] = self._make_pool(loop)
        return pool

    def statistics(self) -> Statistics:
        """
        Return what the worker threads of this process do, and did, in numbers.

        Runs on:
            Any thread. No hop.
        """
        return sum(
            (one.statistics() for one in [*self._pools.values()] if one.is_here),
            Statistics(),
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection of the server's."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and _is_djangos(asgi.ASGIHandler.__call__):
            # Django's method only enters a context, and a lease must not be in that
            # context.
            await self.handle(scope, receive, send)
        else:
            # An agent may have replaced Django's method.
            await super().__call__(scope, receive, send)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request in a context of its own."""
        if _has_a_thread():
            # The thread of the caller does the work, for example in the transaction of
            # a test. As in Django, a task that inherits no context gets its own thread.
            async with ThreadSensitiveContext():
                await self._exchange(None, scope, receive, send)
        elif asyncio.current_task() is None or _serves.get():
            await asyncio.ensure_future(self._serve(scope, receive, send))
        else:
            await self._serve(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        if (pool := self._pools.pop(asyncio.get_running_loop(), None)) is not None:
            await asyncio.to_thread(pool.close)
        if self._detector is not None:
            self._detector.end(asyncio.get_running_loop())
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        _serves.set(True)
        if self._detector is not None:
            self._detector.watch(asyncio.get_running_loop())
        lease = Lease(self.pool)
        lease.enter()
        try:
            await self._exchange(lease, scope, receive, send)
        finally:
            lease.leave()

    async def _exchange(
        self, lease: Lease | None, scope: Any, receive: Any, send: Any
    ) -> None:
        """Serve one request by a lease, or in the thread that waits for this."""
        try:
            body = await self._body(receive)
        except RequestAborted:
            return
        with contextlib.closing(body):
            set_script_prefix(asgi.get_script_prefix(scope))
            exchange = _Exchange(self, lease, scope, send)
            request, refusal = self.create_request(scope, body)
            if request is None:
                await exchange.refuse(refusal)
                return
            if self._detector is not None:
                serves(request)
            with _Client(self.listen_for_disconnect, receive) as client:
                try:
                    await begin_with_wait(exchange.run(request), client.listen)
                except Overloaded:
                    await self.send_response(self._overloaded(), send)
                except RequestAborted:
                    # A stream raises this, so that the server cuts the response off.
                    pass
                finally:
                    if exchange.timing is not None:
                        exchange.timing.stop()
            await exchange.end()

    def _overloaded(self) -> HttpResponse:
        return HttpResponse(
            "503 Service Unavailable",
            status=503,
            content_type="text/plain",
            headers={"Retry-After": self._retry_after},
        )

    async def _body(self, receive: Any) -> Any:
        """The request's body; one message needs no file."""
        first = await receive()
        if first["type"] == "http.request" and not first.get("more_body"):
            return BytesIO(first.get("body", b""))
        messages = [first]

        async def again() -> Any:
            return messages.pop() if messages else await receive()

        return await self.read_body(again)

    def choose(self, request: HttpRequest) -> _SyncChain | None:
        """Resolve the path, and give the sync chain if nothing is to be awaited."""
        chain = self._sync_chain
        urlconf = getattr(request, "urlconf", None)
        resolver = get_resolver(urlconf)
        try:
            if _is_by_language(resolver) and settings.USE_I18N:
                language = (
                    translation.get_language_from_path(request.path_info)
                    or settings.LANGUAGE_CODE
                )
                if language not in _catalogues._translations:
                    # A worker thread has to load the catalog of this language from
                    # files.
                    return chain
                with translation.override(language):
                    match = resolver.resolve(request.path_info)
            else:
                match = resolver.resolve(request.path_info)
        except Exception:  # noqa: BLE001 - the chain meets it again, and answers
            return chain
        if urlconf is None and _is_fixed(resolver):
            vars(request)["_known_match"] = request.path_info, match
        if chain is None or awaits(match.func, request.method or ""):
            return None
        return chain

    async def run_get_response(self, request: HttpRequest) -> Any:
        """Answer by the async chain."""
        response: Any = await super().run_get_response(request)
        response._handler_class = self._sender
        return response

    async def get_response_async(self, request: HttpRequest) -> Any:
        """Answer by the middleware; by what an agent put in Django's place, if any."""
        if _is_djangos(base.BaseHandler.get_response_async):
            return await self._answer_and_log(request)
        return await super().get_response_async(request)

    async def _answer_and_log(self, request: HttpRequest) -> Any:
        """Do as Django does, but log in the thread of the request."""
        set_urlconf(settings.ROOT_URLCONF)
        response = await self._middleware_chain(request)
        response._resource_closers.append(request.close)
        if response.status_code >= 400 and not hasattr(response, "_has_been_logged"):
            await sync_to_async(_log)(request, response)
        return response

    def _make_page(self, request: HttpRequest, error: Exception) -> Any:
        """Make the error page of a view, and log it if nothing will change it."""
        response = response_for_exception(request, error)
        # What an error handler of the project's gives may be a redirect, or no response
        # at all, and the middleware is to meet that.
        if getattr(response, "status_code", 0) >= 400 and is_final(
            self._middleware_chain, self._get_response_async, request, response
        ):
            _log(request, response)
        return response

    def make_view_atomic(self, view: Any) -> Any:
        """Have a view of this package render its response in its last hop."""
        if isinstance(lease := request_executor(), Lease):
            lease.has_begun = True
            lease.name = _name_of(view)
        made: Any = super().make_view_atomic(view)
        # An agent's proxy, a decorator and template-response middleware have to see the
        # response before it is rendered.
        is_bare = made is view and both_colours(view) is view
        if self._template_response_middleware:
            return made
        if is_bare:
            made = functools.partial(_driven, view)
        if (
            not self._exception_middleware
            and iscoroutinefunction(made)
            and _is_djangos(base.BaseHandler.process_exception_by_middleware)
        ):
            # Django would make another hop here to call no exception middleware.
            return functools.partial(_paged, made, self._make_page)
        return made


watch(Handler)


def _name_of(view: Any) -> str:
    """Where the view is written: Django's as_view() calls each class's view alike."""
    named = getattr(view, "view_class", view)
    name = getattr(named, "__qualname__", None)
    return f"{named.__module__}.{name}" if name else repr(view)


_loading = threading.Lock()
# Any, because type checkers see no names that these modules import.
_base: Any = base
_catalogues: Any = trans_real


def _import_swapped(path: str) -> Any:
    return swapped(import_string(path))


def can_be_sync(found: Iterable[Any]) -> bool:
    """Whether all middleware has a sync mode, and does there what it does async."""
    return all(
        getattr(one, "sync_capable", True)
        # Django's RemoteUserMiddleware has it beside process_request(). A subclass may
        # override it alone, and before Django 6.1 the two read different headers.
        and not hasattr(one, "aprocess_request")
        for one in found
    )


def _has_a_thread() -> bool:
    """Whether sync code runs this event loop, and does the sync work of its tasks."""
    return (
        getattr(AsyncToSync.executors, "current", None) is not None
        or asyncio.get_running_loop() in AsyncToSync.loop_thread_executors
    )


async def _driven(view: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
    """Await a view of this package, and render its response where that ends."""

    def render(response: Any) -> Any:
        try:
            result, error = response.render(), None
        except Exception as raised:  # noqa: BLE001 - for Django's handler
            result, error = response, raised

        async def given() -> Any:
            # The replacement serves one call only.
            del response.render
            if error is not None:
                raise error
            return result

        # Django's handler calls this function on the event loop, and needs no hop.
        response.render = given
        return response

    return await view.answer(request, args, kwargs, render)


async def _paged(
    view: Any, make_page: Any, request: HttpRequest, *args: Any, **kwargs: Any
) -> Any:
    """Await a view, and answer what it raises by a page."""
    try:
        return await view(request, *args, **kwargs)
    except Exception as error:  # noqa: BLE001 - as Django does
        try:
            page = await sync_to_async(make_page)(request, error)
        except Exception as failure:  # noqa: BLE001 - Django makes no second page here
            raise Paged(error=failure) from None
    # Django neither checks nor renders a page as it does a response of a view.
    raise Paged(page)


def _log(request: HttpRequest, response: Any) -> None:
    """Log an error page, unless Django has logged why it is one."""
    log_response(
        "%s: %s",
        response.reason_phrase,
        request.path,
        response=response,
        request=request,
    )


def _is_djangos(function: Any) -> bool:
    """Whether a method of one of Django's handlers is what Django has written."""
    function = original_of(function)
    return type(function) is FunctionType and (
        function.__globals__ is vars(base) or function.__globals__ is vars(asgi)
    )


@functools.lru_cache(maxsize=64)
def _is_by_language(resolver: URLResolver) -> bool:
    """Whether any path of a URLconf depends on the language."""
    return isinstance(resolver.pattern, LocalePrefixPattern) or any(
        not isinstance(getattr(one.pattern, "_regex", ""), str)
        or not isinstance(getattr(one.pattern, "_route", ""), str)
        or (isinstance(one, URLResolver) and _is_by_language(one))
        for one in resolver.url_patterns
    )


@functools.lru_cache(maxsize=64)
def _is_fixed(resolver: URLResolver) -> bool:
    """Whether a path has one match, whatever the project's middleware has set."""
    return not _is_by_language(resolver) and all(
        {type(one), type(one.pattern)} <= _FIXED
        and all(
            type(converter).__module__ == converters.__name__
            for converter in one.pattern.converters.values()
        )
        and (not isinstance(one, URLResolver) or _is_fixed(one))
        for one in resolver.url_patterns
    )


_FIXED: set[type] = {RegexPattern, RoutePattern, URLPattern, URLResolver}


class _Client:
    """Cancels what is done for a client when that has gone."""

    def __init__(
        self, listen: Callable[[Any], Coroutine[Any, Any, None]], receive: Any
    ) -> None:
        self._listen = functools.partial(listen, receive)
        self._listener: asyncio.Task[None] | None = None
        self._task = asyncio.current_task()
        self._error: BaseException | None = None

    def listen(self) -> None:
        """Begin to listen: a request that waits for nothing ends before its client."""
        loop = asyncio.get_running_loop()
        if sys.version_info < (3, 12):  # Until Python 3.11 goes.
            self._listener = loop.create_task(self._listen())
        else:
            self._listener = asyncio.Task(self._listen(), loop=loop, eager_start=True)
        self._listener.add_done_callback(self._hear)

    def _hear(self, listener: asyncio.Task[None]) -> None:
        if self._task is not None and not listener.cancelled():
            self._error = listener.exception()
            if self._error is not None:
                self._task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        task, self._task = self._task, None
        if self._listener is not None:
            self._listener.cancel()
        if self._error is None or task is None:
            return False
        outside = task.uncancel()
        if isinstance(self._error, RequestAborted):
            return isinstance(error, asyncio.CancelledError) and not outside
        raise self._error


# Of each option: whether a value is right, what it has to be, and an example.
_OPTIONS: dict[str, tuple[Callable[[Any], bool], str, str]] = {
    "workers": (
        lambda value: isinstance(value, int) and value >= 1,
        "a whole number of 1 or more",
        'int(os.environ["WORKERS"])',
    ),
    "queue": (
        lambda value: isinstance(value, int) and value >= 0,
        "a whole number of 0 or more",
        'int(os.environ["QUEUE"])',
    ),
    "queue_timeout": (
        lambda value: isinstance(value, int | float) and 0 <= value < float("inf"),
        "a number of seconds",
        'float(os.environ["QUEUE_TIMEOUT"])',
    ),
    "release": (
        lambda value: value in get_args(Release),
        '"between", "request" or "always"',
        '"between"',
    ),
}


def _refuse_options(**options: Any) -> None:
    """Raise ImproperlyConfigured for an option with which no pool can work."""
    for name, value in options.items():
        is_right, wanted, example = _OPTIONS[name]
        if not is_right(value):
            raise ImproperlyConfigured(
                f"get_asgi_application() got {name}={value!r}, which is not {wanted}. "
                f"The server does not start. Pass for example `{name}={example}`."
            )


def _is_sync_stream(response: Any) -> bool:
    return response.streaming and not getattr(response, "is_async", True)


def _read(response: Any) -> None:
    """
    Read a sync iterator in the thread of the request, whose tenant it may query.

    Django reads it at once too, but after the response has begun.
    """
    parts: list[Any] = []
    error: Exception | None = None
    try:
        parts += response._iterator
    except Exception as raised:  # noqa: BLE001 - as soon as Django reads it
        error = raised

    def again() -> Any:
        if error is not None:
            raise error
        yield from parts

    response._iterator = again()


def _served(_: Any, __: Any, request: Any) -> Any:
    """The view that a request is for, as far as that is known before it."""
    known = vars(request).get("_known_match")
    if known is None:
        return base.BaseHandler.get_response
    return getattr(known[1].func, "view_class", known[1].func)


class _Exchange:
    """One request and its response, from the first signal to the last."""

    def __init__(
        self, handler: Handler, lease: Lease | None, scope: Any, send: Any
    ) -> None:
        self.handler = handler
        self.sender = handler._sender
        self.scope = scope
        self.send = send
        self.lease = lease
        self.request: Any = None
        self.timing: Timing | None = None
        self.response: Any = None
        # Whether request_started and request_finished were sent.
        self.has_begun = self.has_ended = False
        self.started = self._receivers(signals.request_started)

    def _receivers(self, signal: Any) -> Receivers:
        return Receivers(signal, self.sender, whole=self.lease is None)

    async def _cross(self, job: Callable[[], Any], *, back: bool = False) -> None:
        if self.lease is not None:
            await self.lease.cross(job, back=back)
        else:
            await sync_to_async(job, thread_sensitive=True)()

    @shows("request_started")
    def _begin(self) -> None:
        """Send the first signal to its sync receivers, once."""
        if not self.has_begun:
            self.has_begun = True
            self.started.send(scope=self.scope)

    async def _abegin(self) -> None:
        """Send the first signal to all of its receivers, the sync ones first."""
        if self.started.sync:
            await self._cross(self._begin)
        self.has_begun = True
        await self.started.asend(scope=self.scope)

    async def run(self, request: HttpRequest) -> None:
        self.request = request
        if self.handler.timings is not None:
            self.timing = self.handler.timings.begin(request)
        chain = self.handler.choose(request)
        if chain is None or self.started.asynchronous:
            await self._abegin()
        if chain is not None:
            await self._cross(functools.partial(self._answer, chain, request))
        else:
            self.response = await self.handler.run_get_response(request)
            if self.lease and self.lease.worker and _is_sync_stream(self.response):
                await self._cross(functools.partial(_read, self.response))
        if self.lease is not None and not self._is_bound():
            self.lease.end()
        if self.timing is not None:
            self.timing.end(self.response)
        await self.handler.send_response(self.response, self.send)

    def _is_bound(self) -> bool:
        """Whether a stream is to find what an ENGINE keeps for the request."""
        is_read = not self.response.streaming or _is_sync_stream(self.response)
        return not is_read and bool(self.lease and self.lease.pool.keeps_sessions)

    @shows(_served)
    def _answer(self, chain: _SyncChain, request: HttpRequest) -> None:
        """Serve the request whole, in a worker."""
        if self.lease is not None:
            self.lease.has_begun = True
        self._begin()
        response: Any = chain.get_response(request)
        self.response = response
        response._handler_class = self.sender
        if isinstance(response, FileResponse):
            response.block_size = self.handler.chunk_size
        if self.lease is not None:
            if _is_sync_stream(response):
                _read(response)
            self.lease.has_ended = not self._is_bound()
        finished = self._receivers(signals.request_finished)
        if not response.streaming and self._ends_here(finished):
            self.has_ended = True
            self._close(finished, in_worker=True)

    def _ends_here(self, finished: Receivers) -> bool:
        """Whether nobody of the project is to hear that the last byte was sent."""
        return self.lease is not None and (
            not finished
            and len(self.response._resource_closers) == 1
            and self._close_is_djangos()
        )

    def _close_is_djangos(self) -> bool:
        close = getattr(self.response.close, "__func__", None)
        return close is HttpResponseBase.close

    def _close(self, finished: Receivers, *, in_worker: bool) -> None:
        """Do what response.close() does where _ends_here(), for a fraction of it."""
        with contextlib.suppress(Exception):
            self.request.close()
        self.response._resource_closers.clear()
        self.response.closed = True
        finished.send_to_own(in_worker=in_worker)

    async def end(self) -> None:
        """Close the response, after its last byte."""
        response = self.response
        if self.has_ended or not self.has_begun:
            # The request waited for a worker thread, and no receiver has seen its
            # start.
            return
        if self.lease is not None:
            # Receivers that saw the start have to see the end, however long it waits.
            self.lease.has_begun = True
        finished = self._receivers(signals.request_finished)
        if response is None:
            # After a job that still runs, because it may read the body that is closed
            # next.
            if finished.sync or (self.lease and self.lease.worker):
                await self._cross(finished.send, back=True)
            await finished.asend()
            set_urlconf(None)
        elif self._ends_here(finished) and not vars(self.request).get("_files"):
            self._close(finished, in_worker=False)
        else:
            await self._cross(response.close, back=True)

    async def refuse(self, response: Any) -> None:
        """Answer what is no request; this waits for a worker, and is not refused."""
        if self.lease is not None:
            self.lease.has_begun = True
        await self._abegin()
        await self.handler.send_response(response, self.send)
        await self._cross(response.close)
