"""What as_view() returns: a coroutine in async code, a response in sync code."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import sys
import threading
import typing
from typing import Any
from unittest import skipUnless

from asgiref.sync import (
    async_to_sync,
    iscoroutinefunction,
    markcoroutinefunction,
    sync_to_async,
)
from django.contrib import admin
from django.core.exceptions import BadRequest
from django.db import connection, connections, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.template.response import TemplateResponse
from django.test import (
    RequestFactory,
    SimpleTestCase,
    TestCase,
    TransactionTestCase,
    override_settings,
)
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.utils.functional import SimpleLazyObject
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.generic import TemplateView

from django_async_cbv.checks.urlconf import not_atomic
from django_async_cbv.core.hooks import HOOKS
from django_async_cbv.core.threads import loop_is_running
from django_async_cbv.sync import run_sync
from django_async_cbv.views import AsyncListView, AsyncTemplateView, AsyncView
from tests.app.models import Author
from tests.catalogue import CATALOGUE, Entry, answer, make_rows
from tests.proxies import Proxy
from tests.test_attributes import make, passed_on
from tests.test_overrides import Rollback

factory = RequestFactory()


@skipUnless(connection.vendor == "sqlite", "SQLite: URLs with keys are compared")
class ByHand(TestCase):
    """The tests of one view, which sync code calls; made for each below."""

    entry: Entry

    @classmethod
    def setUpTestData(cls):
        make_rows()

    def answers(self, cls: type, **options: Any) -> list[Any]:
        found = []
        for visit in self.entry.visits:
            try:
                with transaction.atomic():
                    found.append(answer(cls, visit, by_hand=True, **options))
                    raise Rollback
            except Rollback:
                pass
        return found

    def test_it_answers_as_djangos(self):
        attributes = self.entry.attributes
        expected = self.answers(make(self.entry.django, attributes))
        hooks = self.entry.hooks()
        for names in ([], *([name] for name in hooks), hooks):
            space = {**attributes, **{HOOKS[name]: passed_on(name) for name in names}}
            with self.subTest(hooks=names):
                self.assertEqual(self.answers(make(self.entry.ours, space)), expected)


for _entry in CATALOGUE:
    _name = f"Test{_entry.name}ByHand"
    globals()[_name] = type(_name, (ByHand,), {"entry": _entry, "__module__": __name__})
del ByHand


class Awaiting(AsyncTemplateView):
    template_name = "page.html"

    async def aget_context_data(self, **kwargs):
        assert loop_is_running()
        await asyncio.sleep(0)
        return await super().aget_context_data(by=await self.named(), **kwargs)

    async def named(self):
        return "awaited"


class AsyncGet(AsyncView):
    async def get(self, request):
        return HttpResponse("async")

    async def options(self, request):
        return HttpResponse("options")


class SyncGet(AsyncView):
    def get(self, request):
        return HttpResponse("sync")

    async def options(self, request):
        return HttpResponse("options")


class AsyncDispatch(SyncGet):
    async def dispatch(self, request, *args, **kwargs):
        return await super().dispatch(request, *args, **kwargs)


class TestWhatItGives(SimpleTestCase):
    def test_sync_code_gets_a_response_for_which_hooks_are_awaited(self):
        response = Awaiting.as_view()(factory.get("/"))
        self.assertEqual(response.context_data["by"], "awaited")

    def test_of_async_handlers_sync_code_gets_a_coroutine_as_of_djangos(self):
        for cls in (AsyncGet, AsyncDispatch):
            response = asyncio.run(cls.as_view()(factory.get("/")))
            self.assertEqual(response.status_code, 200)

    def test_an_async_options_alone_makes_no_coroutine(self):
        view = SyncGet.as_view()
        self.assertEqual(view(factory.get("/")).content, b"sync")
        self.assertEqual(view(factory.options("/")).content, b"options")

    async def test_async_code_gets_a_coroutine(self):
        for cls in (Awaiting, AsyncGet, SyncGet, AsyncDispatch):
            coroutine = cls.as_view()(factory.get("/"))
            self.assertTrue(inspect.iscoroutine(coroutine))
            self.assertEqual((await coroutine).status_code, 200)

    def test_async_to_sync_gets_a_coroutine(self):
        @markcoroutinefunction
        def marked(request):
            return handing_over(request)

        views = [Awaiting.as_view(), never_cache(Awaiting.as_view()), marked]
        # Older Pythons do not see through a partial, of no view.
        if sys.version_info >= (3, 12):
            views.append(functools.partial(Awaiting.as_view()))
        for view in views:
            response = async_to_sync(view)(factory.get("/"))
            self.assertEqual(response.context_data["by"], "awaited")

    def test_sync_code_that_async_to_sync_waits_for_gets_a_response(self):
        async def outer():
            return await sync_to_async(lambda: Awaiting.as_view()(factory.get("/")))()

        response = async_to_sync(outer)()
        self.assertIsInstance(response, TemplateResponse)

    async def test_sync_code_in_a_worker_gets_a_response(self):
        def by_hand():
            return Awaiting.as_view()(factory.get("/"))

        for call in (
            run_sync,
            lambda func: sync_to_async(func)(),
            lambda func: sync_to_async(func, thread_sensitive=False)(),
        ):
            self.assertIsInstance(await call(by_hand), TemplateResponse)

    def test_a_thread_of_its_own_gets_a_response(self):
        found = []
        thread = threading.Thread(
            target=lambda: found.append(Awaiting.as_view()(factory.get("/")))
        )
        thread.start()
        thread.join()
        self.assertEqual(found[0].context_data["by"], "awaited")

    async def test_many_at_once_on_one_loop(self):
        def two():
            view = Awaiting.as_view()
            return [view(factory.get("/")) for _ in range(2)]

        pairs = await asyncio.gather(*[sync_to_async(two)() for _ in range(10)])
        self.assertEqual(
            {one.context_data["by"] for pair in pairs for one in pair}, {"awaited"}
        )

    def test_what_a_view_raises_is_raised(self):
        class Refusing(Awaiting):
            async def named(self):
                raise BadRequest("no")

        with self.assertRaisesMessage(BadRequest, "no"):
            Refusing.as_view()(factory.get("/"))

    def test_a_handler_that_is_made_async_later(self):
        class Patched(AsyncView):
            def get(self, request):
                return HttpResponse("sync")

        view = Patched.as_view()
        self.assertEqual(view(factory.get("/")).content, b"sync")

        async def get(self, request):
            return HttpResponse("async")

        Patched.get = get
        self.assertEqual(asyncio.run(view(factory.get("/"))).content, b"async")


class Traced(Proxy):
    """A view in a proxy, as ddtrace and New Relic put it there: see `traced()`."""

    def __call__(self, *args, **kwargs):
        return traced(self.__wrapped__, None, args, kwargs)


def traced(wrapped, instance, args, kwargs):
    """As ddtrace does it: it asks what it has when it is called."""
    if not iscoroutinefunction(wrapped):
        response = wrapped(*args, **kwargs)
        response["X-Traced"] = "sync"
        return response

    async def later():
        response = await wrapped(*args, **kwargs)
        response["X-Traced"] = "async"
        return response

    return later()


def asking(view):
    """A decorator that asks when it is called, and is sync itself."""

    @functools.wraps(view)
    def wrapper(request, *args, **kwargs):
        return traced(view, None, (request, *args), kwargs)

    return wrapper


class TestWhoeverCallsAfterAsking(SimpleTestCase):
    """An agent's proxy asks whether it has an async view, and then calls it."""

    AROUND = (Traced, asking, lambda view: Traced(Traced(view)))

    def test_sync_code_gets_a_response(self):
        for around in self.AROUND:
            for cls in (Awaiting, SyncGet):
                response = around(cls.as_view())(factory.get("/"))
                self.assertEqual(response["X-Traced"], "sync")

    async def test_so_does_sync_code_in_a_worker(self):
        for around in self.AROUND:
            view = around(Awaiting.as_view())
            response = await run_sync(view, factory.get("/"))
            self.assertEqual(response["X-Traced"], "sync")

    async def test_async_code_gets_a_coroutine(self):
        for around in self.AROUND:
            for cls in (Awaiting, SyncGet, AsyncGet):
                response = await around(cls.as_view())(factory.get("/"))
                self.assertEqual(response["X-Traced"], "async")

    def test_so_does_async_to_sync(self):
        for around in (Traced, lambda view: Traced(Traced(view))):
            for cls in (Awaiting, SyncGet, AsyncGet):
                view = around(cls.as_view())
                self.assertTrue(iscoroutinefunction(view))
                response = async_to_sync(view)(factory.get("/"))
                self.assertEqual(response["X-Traced"], "async")

    def test_of_async_handlers_sync_code_gets_a_coroutine(self):
        for around in self.AROUND:
            response = asyncio.run(around(AsyncGet.as_view())(factory.get("/")))
            self.assertEqual(response["X-Traced"], "async")

    def test_who_has_a_request_but_was_not_given_it_is_not_to_call(self):
        """A test, or a view that decorates another."""
        request = factory.get("/")
        view = SyncGet.as_view()
        self.assertTrue(iscoroutinefunction(view))

        def given(user, request):
            return iscoroutinefunction(view)

        user = SimpleLazyObject(lambda: self.fail("nobody asked for the user"))
        self.assertFalse(given(user, request))
        self.assertTrue(given(user, None))


class TestLooks(SimpleTestCase):
    def test_it_has_the_names_of_djangos(self):
        class Plain(TemplateView):
            """Say something."""

        class Ours(AsyncTemplateView):
            """Say something."""

        django, ours = Plain.as_view(), Ours.as_view()
        for name in ("__name__", "__qualname__", "__doc__", "__module__"):
            self.assertEqual(getattr(ours, name), getattr(django, name))
        self.assertEqual(
            list(inspect.signature(ours).parameters),
            list(inspect.signature(django).parameters),
        )
        self.assertIn("Ours", repr(ours))

    def test_it_is_one_function_to_those_who_copy(self):
        view = Awaiting.as_view()
        self.assertIs(copy.copy(view), view)
        self.assertIs(copy.deepcopy({"view": view})["view"], view)

    def test_its_annotations_are_what_a_caller_gives_and_gets(self):
        hints = typing.get_type_hints(Awaiting.as_view())
        self.assertEqual(
            hints,
            {
                "request": HttpRequest,
                "args": Any,
                "kwargs": Any,
                "return": HttpResponseBase,
            },
        )

        class Annotated(AsyncView):
            def dispatch(self, request: HttpRequest, pk: int) -> HttpResponse:
                return super().dispatch(request, pk)

        self.assertEqual(
            Annotated.as_view().__annotations__, Annotated.dispatch.__annotations__
        )

    def test_a_wrapper_takes_what_decorators_set_and_no_mark(self):
        @method_decorator(csrf_exempt, name="dispatch")
        class Exempt(SyncGet):
            pass

        @functools.wraps(Exempt.as_view())
        def wrapper(request):
            return None

        self.assertIs(wrapper.csrf_exempt, True)
        self.assertIs(wrapper.view_class, Exempt)
        self.assertFalse(iscoroutinefunction(wrapper))

    def test_a_decorator_of_djangos_around_it_is_async(self):
        """As the docs say: such a decorator belongs on dispatch()."""
        for decorator in (never_cache, csrf_exempt, csrf_protect):
            view = decorator(SyncGet.as_view())
            self.assertTrue(iscoroutinefunction(view))
            coroutine = view(factory.get("/"))
            self.assertEqual(asyncio.run(coroutine).status_code, 200)


# --- Who calls a view in Django and in projects -----------------------------------


class Site(admin.AdminSite):
    def has_permission(self, request):
        return True


class NotFound(AsyncTemplateView):
    template_name = "page.html"

    def get(self, request, *args, **kwargs):
        response = super().get(request, *args, **kwargs)
        response.status_code = 404
        return response.render()


class NoToken(Awaiting):
    def dispatch(self, request, *args, **kwargs):
        response = super().get(request, *args, **kwargs)
        response.status_code = 403
        return response.render()


failed = NoToken.as_view()


def handing_over(request):
    return Awaiting.as_view()(request)


def in_place_of_the_view(get_response):
    def middleware(request):
        if request.path == "/replaced/":
            return SyncGet.as_view()(request)
        return get_response(request)

    return middleware


def sync_decorator(view):
    @functools.wraps(view)
    def wrapper(request, *args, **kwargs):
        response = view(request, *args, **kwargs)
        response["X-Wrapped"] = "yes"
        return response

    return wrapper


class Posted(View):
    def post(self, request):
        return HttpResponse("posted")


urlpatterns = [
    path("admin/", Site().admin_view(Awaiting.as_view())),
    path("handing-over/", handing_over),
    path("wrapped/", sync_decorator(Awaiting.as_view())),
    path("post/", csrf_protect(Posted.as_view())),
]
handler404 = NotFound.as_view()


@override_settings(ROOT_URLCONF=__name__, DEBUG=False)
class TestSyncCallers(TestCase):
    async def both(self, url: str) -> list[HttpResponse]:
        by_wsgi = await sync_to_async(self.client.get)(url)
        return [by_wsgi, await self.async_client.get(url)]

    async def test_function_views_decorators_and_the_admin(self):
        for url in ("/admin/", "/handing-over/", "/wrapped/"):
            for response in await self.both(url):
                self.assertEqual(response.status_code, 200, url)
                self.assertEqual(response.context_data["by"], "awaited")
        self.assertEqual(response["X-Wrapped"], "yes")

    async def test_handler404(self):
        for response in await self.both("/nowhere/"):
            self.assertEqual(response.status_code, 404)
            self.assertEqual(response.template_name, ["page.html"])

    @override_settings(CSRF_FAILURE_VIEW=f"{__name__}.failed")
    async def test_the_view_of_csrf_failures(self):
        client = self.client_class(enforce_csrf_checks=True)
        async_client = self.async_client_class(enforce_csrf_checks=True)
        for response in (
            await sync_to_async(client.post)("/post/"),
            await async_client.post("/post/"),
        ):
            self.assertEqual(response.status_code, 403)
            self.assertEqual(response.context_data["by"], "awaited")

    @override_settings(MIDDLEWARE=[f"{__name__}.in_place_of_the_view"])
    async def test_sync_middleware(self):
        for response in await self.both("/replaced/"):
            self.assertEqual(response.content, b"sync")

    def test_middleware_around_it(self):
        """As a test of Django's own does: MiddlewareMixin calls it in sync code."""
        response = sync_decorator(SyncGet.as_view())(factory.get("/"))
        self.assertEqual(response["X-Wrapped"], "yes")
        for cls in (SyncGet, Awaiting):
            middleware = CsrfViewMiddleware(cls.as_view())
            self.assertEqual(middleware(factory.get("/")).status_code, 200)
        answered = CsrfViewMiddleware(AsyncGet.as_view())(factory.get("/"))
        self.assertEqual(asyncio.run(answered).status_code, 200)

    async def test_middleware_around_it_in_async_code(self):
        for cls in (SyncGet, Awaiting, AsyncGet):
            middleware = CsrfViewMiddleware(cls.as_view())
            self.assertEqual((await middleware(factory.get("/"))).status_code, 200)


class Writing(AsyncListView):
    model = Author
    template_name = "page.html"

    def get(self, request, *args, **kwargs):
        Author.objects.create(name="Ann", slug="ann")
        response = super().get(request, *args, **kwargs)
        response.is_atomic = connection.in_atomic_block
        if "fails" in request.GET:
            raise BadRequest
        return response


class AwaitingWriting(Writing):
    async def aget_context_data(self, **kwargs):
        await Author.objects.acreate(name="Bob", slug="bob")
        return await super().aget_context_data(**kwargs)


class AsyncWriting(AsyncView):
    async def get(self, request, **kwargs):
        await Author.objects.acreate(name="Ann", slug="ann")
        response = HttpResponse()
        response.is_atomic = await run_sync(lambda: connection.in_atomic_block)
        if "fails" in request.GET:
            raise BadRequest
        return response


def unwrapped(view):
    async def inner(request):
        return await view(request)

    return inner


def wrapped(view):
    @functools.wraps(view)
    async def inner(request):
        return await view(request)

    return inner


def views_under(prefix: str, cls: type) -> list[Any]:
    exempt = transaction.non_atomic_requests(sync_decorator(cls.as_view()))
    return [
        path(f"{prefix}/view/", cls.as_view()),
        path(f"{prefix}/sync/", sync_decorator(cls.as_view())),
        path(f"{prefix}/async/", wrapped(cls.as_view())),
        path(f"{prefix}/partial/", functools.partial(cls.as_view())),
        path(f"{prefix}/atomic/", transaction.atomic(cls.as_view())),
        path(f"{prefix}/traced/", Traced(cls.as_view())),
        path(f"{prefix}/asking/", asking(cls.as_view())),
        path(f"{prefix}/traced-partial/", Traced(functools.partial(cls.as_view()))),
        path(f"{prefix}/partial-traced/", functools.partial(Traced(cls.as_view()))),
        path(f"{prefix}/exempt/", exempt),
        path(
            f"{prefix}/traced-exempt/",
            Traced(transaction.non_atomic_requests(cls.as_view())),
        ),
        path(
            f"{prefix}/exempt-below/",
            sync_decorator(transaction.non_atomic_requests(cls.as_view())),
        ),
    ]


atomic_urls = [
    *views_under("sync", Writing),
    *views_under("hook", AwaitingWriting),
    path("async/view/", AsyncWriting.as_view()),
    path("async/async/", wrapped(AsyncWriting.as_view())),
    path("async/partial/", functools.partial(AsyncWriting.as_view(), kind="p")),
    path("async/atomic/", transaction.atomic(AsyncWriting.as_view())),
    path("async/traced/", Traced(AsyncWriting.as_view())),
]


class AtomicURLs:
    urlpatterns = [path("", include(atomic_urls))]


@override_settings(ROOT_URLCONF=AtomicURLs, MIDDLEWARE=[])
class TestTransactions(TransactionTestCase):
    """Under ATOMIC_REQUESTS, whoever is around the view."""

    def setUp(self):
        for settings in (connection.settings_dict, connections.settings["default"]):
            settings["ATOMIC_REQUESTS"] = True
            self.addCleanup(settings.update, ATOMIC_REQUESTS=False)
        # Requests close connections; in memory that would be the database.
        self.client.raise_request_exception = False

    def test_it_is_atomic_whoever_is_around_it(self):
        for pattern in atomic_urls:
            url = f"/{pattern.pattern}"
            opted_out = "exempt" in url
            for client in ("wsgi", "asgi"):
                with self.subTest(url, client=client):
                    response = self.ask(client, url)
                    self.assertEqual(response.is_atomic, not opted_out)
                    Author.objects.all().delete()
                    response = self.ask(client, f"{url}?fails")
                    self.assertEqual(response.status_code, 400)
                    self.assertEqual(Author.objects.exists(), opted_out)
                    Author.objects.all().delete()

    def ask(self, client: str, url: str) -> Any:
        if client == "wsgi":
            return self.client.get(url)
        self.async_client.raise_request_exception = False
        return async_to_sync(self.async_client.get)(url)

    def test_the_check_names_what_django_refuses(self):
        for pattern in atomic_urls:
            self.assertIsNone(not_atomic(pattern.callback), str(pattern))
        problem = not_atomic(unwrapped(Writing.as_view()))
        self.assertEqual(problem.id, "async_cbv.E009")
        self.assertIn("inner", problem.message)
        self.assertIn("functools.wraps", problem.hint)
