"""The pipeline: as_view(), setup, dispatch and handlers of each colour."""

from __future__ import annotations

import asyncio
import functools
import threading
from contextlib import suppress
from typing import Any
from unittest import mock

from asgiref.sync import (
    SyncToAsync,
    async_to_sync,
    iscoroutinefunction,
    sync_to_async,
)
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.mixins import (
    LoginRequiredMixin,
    PermissionRequiredMixin,
    UserPassesTestMixin,
)
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import RequestFactory, SimpleTestCase, TestCase, override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page, never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_cookie

from django_async_cbv.views import AsyncListView, AsyncTemplateView, AsyncView
from tests.catalogue import make_rows
from tests.hops import count_hops
from tests.models import Author


def on_loop() -> bool:
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        return True
    return False


class Both(AsyncView):
    """Handlers of both colours in one class, which say where they ran."""

    def get(self, request, *args, **kwargs):
        return HttpResponse(f"sync, on loop: {on_loop()}")

    async def post(self, request, *args, **kwargs):
        await asyncio.sleep(0)
        return HttpResponse(f"async, on loop: {on_loop()}")


class Authors(AsyncListView):
    """Nothing async: Django's own code in one hop."""

    model = Author


class Awaiting(AsyncListView):
    """A hook in the middle is async."""

    model = Author

    async def aget_context_data(self, **kwargs):
        assert on_loop()
        await asyncio.sleep(0)
        return await super().aget_context_data(**kwargs)


class AwaitingGet(AsyncListView):
    model = Author

    async def get(self, request, *args, **kwargs):
        assert on_loop()
        await asyncio.sleep(0)
        return await super().get(request, *args, **kwargs)


class AwaitingDispatch(AsyncListView):
    model = Author

    async def dispatch(self, request, *args, **kwargs):
        assert on_loop()
        await asyncio.sleep(0)
        return await super().dispatch(request, *args, **kwargs)


RESTS = (Authors, Awaiting, AwaitingGet, AwaitingDispatch)


def mixed(mixin: type, rest: type) -> type:
    return type(f"{mixin.__name__}{rest.__name__}", (mixin, rest), {})


class TestAsView(SimpleTestCase):
    def test_it_is_a_coroutine_function_with_djangos_attributes(self):
        view = Both.as_view()
        self.assertTrue(iscoroutinefunction(view))
        self.assertIs(view.view_class, Both)
        self.assertEqual(view.view_initkwargs, {})
        self.assertEqual(view.__doc__, Both.__doc__)
        self.assertEqual(view.__module__, __name__)
        self.assertEqual(view.__name__, "view")
        self.assertFalse(hasattr(view, "__wrapped__"))
        self.assertIs(Both.view_is_async, True)

    def test_what_decorators_put_on_dispatch_is_on_the_view(self):
        @method_decorator(csrf_exempt, name="dispatch")
        class Exempt(Both):
            pass

        self.assertIs(Exempt.as_view().csrf_exempt, True)
        self.assertFalse(hasattr(Both.as_view(), "csrf_exempt"))

    def test_a_wrapper_is_not_taken_for_async(self):
        """functools.wraps() copies attributes, but not the colour."""
        from functools import wraps

        view = Both.as_view()

        @wraps(view)
        def wrapper(request):
            return None

        self.assertFalse(iscoroutinefunction(wrapper))

    def test_wrong_arguments_are_refused_as_by_django(self):
        with self.assertRaisesMessage(TypeError, "The method name get is not accepted"):
            Both.as_view(get=None)
        with self.assertRaisesMessage(TypeError, "received an invalid keyword 'nope'"):
            Both.as_view(nope=1)

    async def test_each_request_has_its_own_instance(self):
        seen = []

        class Counting(AsyncView):
            async def get(self, request):
                seen.append(self)
                return HttpResponse()

        view = Counting.as_view()
        request = RequestFactory().get("/")
        await asyncio.gather(view(request), view(request))
        self.assertIsNot(seen[0], seen[1])


async def by_hand_awaited(coroutine):
    return (await coroutine).content


class TestHandlers(SimpleTestCase):
    factory = RequestFactory()

    async def test_each_runs_where_its_colour_belongs(self):
        view = Both.as_view()
        with count_hops() as hops:
            response = await view(self.factory.post("/"))
        self.assertEqual(response.content, b"async, on loop: True")
        self.assertEqual(hops.count, 0)
        with count_hops() as hops:
            response = await view(self.factory.get("/"))
        self.assertEqual(response.content, b"sync, on loop: False")
        self.assertEqual(hops.count, 1)

    async def test_head_is_get(self):
        response = await Both.as_view()(self.factory.head("/"))
        self.assertEqual(response.content, b"sync, on loop: False")

    async def test_a_method_without_a_handler_is_405(self):
        with self.assertLogs("django.request", "WARNING"):
            response = await Both.as_view()(self.factory.delete("/"))
        self.assertEqual(response.status_code, 405)
        self.assertEqual(response["Allow"], "GET, POST, HEAD, OPTIONS")

    async def test_options(self):
        with count_hops() as hops:
            response = await Both.as_view()(self.factory.options("/"))
        self.assertEqual(response["Allow"], "GET, POST, HEAD, OPTIONS")
        self.assertEqual(hops.count, 0)

    async def test_overrides_of_405_and_options_in_both_colours(self):
        class Sync(Both):
            def http_method_not_allowed(self, request, *args, **kwargs):
                response = super().http_method_not_allowed(request, *args, **kwargs)
                response["X-By"] = "sync"
                return response

            def options(self, request, *args, **kwargs):
                response = super().options(request, *args, **kwargs)
                response["X-By"] = "sync"
                return response

        class Async(Both):
            async def http_method_not_allowed(self, request, *args, **kwargs):
                response = await super().http_method_not_allowed(
                    request, *args, **kwargs
                )
                response["X-By"] = "async"
                return response

            async def options(self, request, *args, **kwargs):
                response = await super().options(request, *args, **kwargs)
                response["X-By"] = "async"
                return response

        for cls, colour in [(Sync, "sync"), (Async, "async")]:
            for method, status in [("delete", 405), ("options", 200)]:
                request = getattr(self.factory, method)("/")
                with self.subTest(colour=colour, method=method):
                    response = await cls.as_view()(request)
                    self.assertEqual(response.status_code, status)
                    self.assertEqual(response["X-By"], colour)

    async def test_a_sync_override_over_an_async_one_waits_for_it(self):
        class Sync(AwaitingGet):
            queryset = ["a row"]
            template_name = "page.html"

            def get(self, request, *args, **kwargs):
                response = super().get(request, *args, **kwargs)
                response["X-Seen"] = str(response.status_code)
                return response

        response = await Sync.as_view()(self.factory.get("/"))
        self.assertEqual(response["X-Seen"], "200")

    async def test_an_async_override_over_a_sync_one_awaits_it(self):
        class Async(Both):
            async def get(self, request, *args, **kwargs):
                response = await super().get(request, *args, **kwargs)
                response["X-Seen"] = response.content.decode()
                return response

        response = await Async.as_view()(self.factory.get("/"))
        self.assertEqual(response["X-Seen"], "sync, on loop: False")

    async def test_a_decorated_async_handler_stays_async(self):
        class Decorated(AsyncView):
            @method_decorator(never_cache)
            async def get(self, request):
                return HttpResponse(f"on loop: {on_loop()}")

        response = await Decorated.as_view()(self.factory.get("/"))
        self.assertEqual(response.content, b"on loop: True")
        self.assertIn("no-cache", response["Cache-Control"])

    async def test_a_coroutine_that_sync_code_returns_is_awaited(self):
        """As Django's own options() gives one, and as some mixins' dispatch() does."""

        class Returning(Both):
            def get(self, request):
                return self.post(request)

        class Own(AsyncView):
            def get(self, request):
                async def handle():
                    return HttpResponse(f"on loop: {on_loop()}")

                return handle()

        class Mixin:
            def dispatch(self, request, *args, **kwargs):
                if self.view_is_async:
                    return self.adispatch(request, *args, **kwargs)
                return super().dispatch(request, *args, **kwargs)

            async def adispatch(self, request, *args, **kwargs):
                response = await super().dispatch(request, *args, **kwargs)
                response["X-Seen"] = "yes"
                return response

        response = await Returning.as_view()(self.factory.get("/"))
        self.assertEqual(response.content, b"async, on loop: True")
        response = await Own.as_view()(self.factory.get("/"))
        self.assertEqual(response.content, b"on loop: True")
        for base in (Both, Own):
            view = type("View", (Mixin, base), {}).as_view()
            response = await view(self.factory.get("/"))
            self.assertEqual(response["X-Seen"], "yes")

    def test_a_view_made_by_hand_says_in_sync_code_what_djangos_says(self):
        """Of a mixin that looks at view_is_async, sync code can't await the answer."""

        class Mixin:
            def dispatch(self, request, *args, **kwargs):
                if self.view_is_async:
                    return self.adispatch(request, *args, **kwargs)
                return super().dispatch(request, *args, **kwargs)

            async def adispatch(self, request, *args, **kwargs):
                return await super().dispatch(request, *args, **kwargs)

        class Sync(Mixin, AsyncTemplateView):
            template_name = "page.html"

            def get(self, request):
                return HttpResponse("sync")

        class Hooked(Mixin, AsyncTemplateView):
            template_name = "page.html"

            async def aget_context_data(self, **kwargs):
                return await super().aget_context_data(**kwargs)

        class Handled(Mixin, AsyncView):
            async def get(self, request):
                return HttpResponse("async")

        def by_hand(cls):
            view = cls()
            request = self.factory.get("/")
            view.setup(request)
            return view.dispatch(request)

        self.assertEqual(by_hand(Sync).content, b"sync")
        self.assertEqual(by_hand(Hooked).status_code, 200)
        # As Django's view with the same handler.
        self.assertEqual(async_to_sync(by_hand_awaited)(by_hand(Handled)), b"async")
        for cls in (Sync, Hooked, Handled):
            self.assertIs(cls.view_is_async, True)
            view = async_to_sync(cls.as_view())
            self.assertEqual(view(self.factory.get("/")).status_code, 200)
        for cls in (Sync, Hooked):
            response = cls.as_view()(self.factory.get("/"))
            self.assertEqual(response.status_code, 200)

    async def test_the_coroutine_of_a_decorated_async_handler_is_not_begun(self):
        def timed(function):
            @functools.wraps(function)
            def call(*args):
                return function(*args)

            return call

        class Lost(AsyncView):
            def setup(self, request, *args, **kwargs):
                super().setup(request, *args, **kwargs)
                self.get = timed(self.handle)

            async def handle(self, request):
                return HttpResponse()

        with self.assertRaisesMessage(TypeError, "is sync, but returned a coroutine"):
            await Lost.as_view()(self.factory.get("/"))

    def test_called_by_hand_in_sync_code(self):
        """As a unit test of an existing view does."""
        request = self.factory.get("/")
        view = Both()
        view.setup(request)
        self.assertEqual(view.get(request).content, b"sync, on loop: False")
        self.assertEqual(view.dispatch(request).content, b"sync, on loop: False")
        response = async_to_sync(view.post)(request)
        self.assertEqual(response.content, b"async, on loop: True")


class TestSetup(SimpleTestCase):
    factory = RequestFactory()

    async def test_an_override_runs_in_the_worker_in_the_same_hop(self):
        class Setting(Both):
            def setup(self, request, *args, **kwargs):
                self.was_on_loop = on_loop()
                self.thread = threading.get_ident()
                super().setup(request, *args, **kwargs)

            def get(self, request):
                same = self.thread == threading.get_ident()
                return HttpResponse(f"{self.was_on_loop} {same}")

        with count_hops() as hops:
            response = await Setting.as_view()(self.factory.get("/"))
        self.assertEqual(response.content, b"False True")
        self.assertEqual(hops.count, 1)

    async def test_forgetting_super_is_told(self):
        class Forgetful(Both):
            def setup(self, request, *args, **kwargs):
                pass

        message = "Forgetful instance has no 'request' attribute. Did you override"
        with self.assertRaisesMessage(AttributeError, message):
            await Forgetful.as_view()(self.factory.get("/"))

    async def test_a_hook_put_on_the_instance_is_honoured(self):
        class Setting(AsyncListView):
            template_name = "page.html"

            def setup(self, request, *args, **kwargs):
                super().setup(request, *args, **kwargs)
                self.get_queryset = lambda: ["put on it"]

            async def aget_context_data(self, **kwargs):
                return await super().aget_context_data(**kwargs)

        response = await Setting.as_view()(self.factory.get("/"))
        self.assertEqual(response.context_data["object_list"], ["put on it"])

    async def test_a_hook_given_to_as_view_is_honoured(self):
        view = AsyncListView.as_view(
            get_queryset=lambda: ["given"], template_name="page.html"
        )
        response = await view(self.factory.get("/"))
        self.assertEqual(response.context_data["object_list"], ["given"])

    async def test_a_hook_given_to_as_view_is_never_taken_for_pure(self):
        seen = []
        view = AsyncTemplateView.as_view(
            get_template_names=lambda: seen.append(on_loop()) or ["page.html"]
        )
        await view(self.factory.get("/"))
        self.assertEqual(seen, [False])

    def test_a_sync_hook_over_an_async_one_is_refused(self):
        with self.assertRaisesMessage(
            ImproperlyConfigured, "get_context_data() was set on a Awaiting instance"
        ):
            Awaiting.as_view(get_context_data=dict)

    async def test_a_sync_hook_set_over_an_async_one_is_refused(self):
        class Setting(Awaiting):
            def setup(self, request, *args, **kwargs):
                super().setup(request, *args, **kwargs)
                self.get_context_data = dict

        with self.assertRaisesMessage(
            ImproperlyConfigured, "Set aget_context_data to a coroutine function"
        ):
            await Setting.as_view()(self.factory.get("/"))

    async def test_an_async_hook_on_the_instance_is_honoured(self):
        async def aget_queryset():
            assert on_loop()
            return ["awaited"]

        given = AsyncListView.as_view(
            aget_queryset=aget_queryset, template_name="page.html"
        )

        class Setting(AsyncListView):
            template_name = "page.html"

            def setup(self, request, *args, **kwargs):
                super().setup(request, *args, **kwargs)
                self.aget_queryset = aget_queryset

        class InSyncCode(Setting):
            def get(self, request, *args, **kwargs):
                return super().get(request, *args, **kwargs)

        for view in (given, Setting.as_view(), InSyncCode.as_view()):
            response = await view(self.factory.get("/"))
            self.assertEqual(response.context_data["object_list"], ["awaited"])
            self.assertIs(type(response.context_data["view"]), view.view_class)


class Raising(Exception):
    pass


class Header:
    """Post-processes: reads the response that it is given."""

    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        response["X-Status"] = str(response.status_code)
        return response


class Catching:
    def dispatch(self, request, *args, **kwargs):
        try:
            return super().dispatch(request, *args, **kwargs)
        except Raising:
            return HttpResponse("caught", status=418)


class Dropping:
    def dispatch(self, request, *args, **kwargs):
        super().dispatch(request, *args, **kwargs)
        return HttpResponse("instead", status=203)


class Atomic:
    def dispatch(self, request, *args, **kwargs):
        with transaction.atomic():
            return super().dispatch(request, *args, **kwargs)


class Finally:
    log: list[str] = []

    def dispatch(self, request, *args, **kwargs):
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            self.log.append("finally")


class Tail:
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


class Locked:
    lock = threading.Lock()

    def dispatch(self, request, *args, **kwargs):
        with self.lock:
            return super().dispatch(request, *args, **kwargs)


class TestDispatchMixins(TestCase):
    factory = RequestFactory()

    @classmethod
    def setUpTestData(cls):
        make_rows()

    async def respond(self, cls, **initkwargs):
        return await cls.as_view(**initkwargs)(self.factory.get("/"))

    async def test_a_mixin_that_post_processes_gets_the_response(self):
        for rest in RESTS:
            with self.subTest(rest=rest.__name__):
                response = await self.respond(mixed(Header, rest))
                self.assertEqual(response["X-Status"], "200")

    async def test_a_mixin_that_drops_the_response(self):
        for rest in RESTS:
            with self.subTest(rest=rest.__name__):
                response = await self.respond(mixed(Dropping, rest))
                self.assertEqual(response.content, b"instead")

    async def test_a_mixin_that_catches_exceptions(self):
        class RaisingGet(AsyncView):
            async def get(self, request):
                await asyncio.sleep(0)
                raise Raising

        class RaisingHook(Awaiting):
            async def aget_context_data(self, **kwargs):
                raise Raising

        class RaisingSync(Authors):
            def get_context_data(self, **kwargs):
                raise Raising

        for rest in (RaisingGet, RaisingHook, RaisingSync):
            with self.subTest(rest=rest.__name__):
                response = await self.respond(mixed(Catching, rest))
                self.assertEqual(response.status_code, 418)
                with self.assertRaises(Raising):
                    await self.respond(mixed(Tail, rest))

    async def test_a_mixin_that_holds_a_transaction(self):
        """The block is open until the handler is done, and rolls back what it did."""

        class Writing(AsyncView):
            fails = False

            async def get(self, request):
                await sync_to_async(self.write)()
                await asyncio.sleep(0)
                if self.fails:
                    raise Raising
                return HttpResponse(str(await Author.objects.acount()))

            def write(self):
                assert len(connection.savepoint_ids) >= depth + 1
                Author.objects.create(name="New", slug="new")

        depth = await sync_to_async(lambda: len(connection.savepoint_ids))()
        with self.assertRaises(Raising):
            await self.respond(mixed(Atomic, Writing), fails=True)
        self.assertEqual(await Author.objects.acount(), 2)
        response = await self.respond(mixed(Atomic, Writing))
        self.assertEqual(response.content, b"3")

    async def test_a_mixin_with_finally_runs_it_last(self):
        class Logging(AsyncView):
            async def get(self, request):
                await asyncio.sleep(0)
                Finally.log.append("handler")
                return HttpResponse()

        Finally.log.clear()
        await self.respond(mixed(Finally, Logging))
        self.assertEqual(Finally.log, ["handler", "finally"])

    async def test_mixins_on_mixins(self):
        class Stacked(Header, Atomic, Tail, Catching, Awaiting):
            pass

        with count_hops() as hops:
            response = await self.respond(Stacked)
        self.assertEqual(response["X-Status"], "200")
        # Into the worker once; and again for Django's context, from the loop.
        self.assertEqual(hops.count, 2)

    async def test_an_async_dispatch_between_sync_ones(self):
        class Upper(Header, AwaitingDispatch):
            pass

        class Uppermost(Upper):
            async def dispatch(self, request, *args, **kwargs):
                response = await super().dispatch(request, *args, **kwargs)
                response["X-Uppermost"] = str(on_loop())
                return response

        response = await self.respond(Uppermost)
        self.assertEqual(response["X-Status"], "200")
        self.assertEqual(response["X-Uppermost"], "True")

    async def test_a_sync_dispatch_that_returns_early_calls_no_handler(self):
        class Closed:
            def dispatch(self, request, *args, **kwargs):
                if request.method == "GET":
                    return HttpResponse("closed", status=403)
                return super().dispatch(request, *args, **kwargs)

        for rest in RESTS:
            response = await self.respond(mixed(Closed, rest))
            self.assertEqual(response.status_code, 403)

    def test_the_sync_test_client(self):
        with override_settings(ROOT_URLCONF=__name__):
            for number in range(len(RESTS)):
                response = self.client.get(f"/header/{number}/")
                self.assertEqual(response["X-Status"], "200")
                self.assertContains(response, "Author")

    async def test_the_async_test_client(self):
        with override_settings(ROOT_URLCONF=__name__):
            for number in range(len(RESTS)):
                response = await self.async_client.get(f"/header/{number}/")
                self.assertEqual(response["X-Status"], "200")
                self.assertContains(response, "Author")


class TestTheThread(SimpleTestCase):
    """Where a mixin does no more than to pass the response on, no thread is held."""

    async def thread_is_free_while_awaiting(self, *mixins: type) -> bool:
        entered, leave = asyncio.Event(), asyncio.Event()

        class Waiting(*mixins, AsyncView):
            async def get(self, request):
                entered.set()
                await leave.wait()
                return HttpResponse("done")

        async def respond():
            return await Waiting.as_view()(RequestFactory().get("/"))

        # As in a server: no sync code waits further out for this loop.
        task = asyncio.create_task(respond())
        await entered.wait()
        job = SyncToAsync.single_thread_executor.submit(threading.get_ident)
        done, _ = await asyncio.wait([asyncio.wrap_future(job)], timeout=0.2)
        leave.set()
        await task
        await asyncio.wrap_future(job)
        return bool(done)

    def is_free(self, *mixins: type) -> bool:
        return asyncio.run(self.thread_is_free_while_awaiting(*mixins))

    def test_it_is_given_back_from_a_tail_call(self):
        @method_decorator(login_required, name="dispatch")
        class Decorated(AsyncView):
            def setup(self, request, *args, **kwargs):
                super().setup(request, *args, **kwargs)
                request.user = User()

        class Sup(Tail):
            def dispatch(self, request, *args, **kwargs):
                self.thing = 1
                if not request.method:
                    raise PermissionDenied
                return super(Sup, self).dispatch(
                    request,
                    *args,
                    **kwargs,
                )

        class Passing(UserPassesTestMixin):
            def test_func(self):
                return True

        self.assertTrue(self.is_free())
        self.assertTrue(self.is_free(Tail))
        self.assertTrue(self.is_free(Sup))
        self.assertTrue(self.is_free(Sup, Tail, Passing))
        self.assertTrue(self.is_free(Decorated))

    def test_it_is_held_for_what_comes_after(self):
        class Conditional:
            def dispatch(self, request, *args, **kwargs):
                return super().dispatch(request, *args, **kwargs) or HttpResponse()

        for mixin in (Header, Catching, Finally, Locked, Dropping, Conditional):
            with self.subTest(mixin=mixin.__name__):
                self.assertFalse(self.is_free(mixin))
                self.assertFalse(self.is_free(Tail, mixin))
                self.assertFalse(self.is_free(mixin, Tail))

    def test_it_is_held_where_c_code_is_between(self):
        import contextvars

        variable = contextvars.ContextVar("variable", default="outside")
        seen = []

        class InContext:
            def dispatch(self, request, *args, **kwargs):
                context = contextvars.copy_context()
                context.run(variable.set, "inside")
                return context.run(super().dispatch, request, *args, **kwargs)

        class Seeing(AsyncView):
            async def dispatch(self, request, *args, **kwargs):
                seen.append(variable.get())
                return await super().dispatch(request, *args, **kwargs)

        self.assertFalse(self.is_free(InContext, Seeing))
        self.assertEqual(seen, ["inside"])


@override_settings(ROOT_URLCONF=__name__, LOGIN_URL="/login/")
class TestAccessMixins(TestCase):
    """Django's own, in front of views of each colour."""

    @classmethod
    def setUpTestData(cls):
        make_rows()
        cls.user = User.objects.create_user("ann")

    async def test_anonymous_users_are_sent_to_the_login(self):
        for number in range(len(RESTS)):
            for name in ("login", "permission", "test", "decorated"):
                with self.subTest(rest=RESTS[number].__name__, mixin=name):
                    response = await self.async_client.get(f"/{name}/{number}/")
                    self.assertRedirects(
                        response,
                        f"/login/?next=/{name}/{number}/",
                        fetch_redirect_response=False,
                    )

    async def test_users_get_in_or_not(self):
        await self.async_client.aforce_login(self.user)
        for number in range(len(RESTS)):
            with self.subTest(rest=RESTS[number].__name__):
                for name, status in [
                    ("login", 200),
                    ("decorated", 200),
                    ("permission", 403),
                    ("test", 403),
                ]:
                    response = await self.async_client.get(f"/{name}/{number}/")
                    self.assertEqual(response.status_code, status, name)

    async def test_login_costs_no_hop_of_its_own(self):
        request = RequestFactory().get("/")
        request.user = self.user
        view = mixed(LoginRequiredMixin, Authors).as_view()
        with count_hops() as hops:
            response = await view(request)
        self.assertEqual(response.status_code, 200)
        self.assertEqual(hops.count, 1)


@override_settings(ROOT_URLCONF=__name__)
class TestDecorators(TestCase):
    """Django's view decorators on dispatch(), over a rest of each colour."""

    @classmethod
    def setUpTestData(cls):
        make_rows()

    def setUp(self):
        cache.clear()

    async def each(self, name):
        for number, rest in enumerate(RESTS):
            with self.subTest(rest=rest.__name__):
                yield await self.async_client.get(f"/{name}/{number}/")

    async def test_never_cache(self):
        async for response in self.each("never_cache"):
            self.assertIn("no-cache", response["Cache-Control"])

    async def test_vary_on_cookie(self):
        async for response in self.each("vary_on_cookie"):
            self.assertIn("Cookie", response["Vary"])

    async def test_xframe_options_exempt(self):
        async for response in self.each("xframe"):
            self.assertNotIn("X-Frame-Options", response)

    async def test_sensitive_post_parameters(self):
        async for response in self.each("sensitive"):
            self.assertEqual(
                response.asgi_request.sensitive_post_parameters, ("password",)
            )

    async def test_require_http_methods(self):
        async for response in self.each("require"):
            self.assertEqual(response.status_code, 200)
        with self.assertLogs("django.request", "WARNING"):
            response = await self.async_client.post("/require/0/")
        self.assertEqual(response.status_code, 405)

    async def test_csrf_exempt(self):
        from django.test import AsyncClient

        client = AsyncClient(enforce_csrf_checks=True)
        with self.assertLogs("django.security.csrf", "WARNING"):
            self.assertEqual((await client.post("/csrf/")).status_code, 200)
            self.assertEqual((await client.post("/not-exempt/")).status_code, 403)

    async def test_gzip_page(self):
        for number in range(len(RESTS)):
            response = await self.async_client.get(
                f"/gzip/{number}/", headers={"accept-encoding": "gzip"}
            )
            self.assertEqual(response["Content-Encoding"], "gzip")

    async def test_cache_page(self):
        for number in range(len(RESTS)):
            with self.subTest(rest=RESTS[number].__name__):
                first = await self.async_client.get(f"/cache_page/{number}/")
                await Author.objects.acreate(name="New", slug=f"new-{number}")
                second = await self.async_client.get(f"/cache_page/{number}/")
                self.assertEqual(first.content, second.content)

    async def test_cache_page_does_its_io_in_the_worker(self):
        """As a cache in the database needs it."""
        seen = []
        get = LocMemCache.get

        def watched(self, *args, **kwargs):
            seen.append(on_loop())
            return get(self, *args, **kwargs)

        with mock.patch.object(LocMemCache, "get", watched):
            await self.async_client.get("/cache_page/0/")
        self.assertIn(False, seen)
        self.assertNotIn(True, seen)


def decorated(decorator: Any, rest: type) -> type:
    # A class of its own: the decorator changes the one that it is given.
    return method_decorator(decorator, name="dispatch")(
        type(f"Decorated{rest.__name__}", (rest,), {})
    )


class Forbidden(UserPassesTestMixin):
    def test_func(self):
        return False


class Permission(PermissionRequiredMixin):
    permission_required = "auth.add_user"


class Posted(AsyncView):
    async def post(self, request):
        return HttpResponse()


urlpatterns = [
    path("csrf/", decorated(csrf_exempt, Posted).as_view()),
    path("not-exempt/", Posted.as_view()),
]
for _number, _rest in enumerate(RESTS):
    for _name, _cls in {
        "header": mixed(Header, _rest),
        "login": mixed(LoginRequiredMixin, _rest),
        "permission": mixed(Permission, _rest),
        "test": mixed(Forbidden, _rest),
        "decorated": decorated(login_required, _rest),
        "permitted": decorated(permission_required("auth.add_user"), _rest),
        "never_cache": decorated(never_cache, _rest),
        "vary_on_cookie": decorated(vary_on_cookie, _rest),
        "xframe": decorated(xframe_options_exempt, _rest),
        "sensitive": decorated(sensitive_post_parameters("password"), _rest),
        "require": decorated(require_http_methods(["GET"]), _rest),
        "gzip": decorated(gzip_page, _rest),
        "cache_page": decorated(cache_page(60), _rest),
    }.items():
        urlpatterns.append(path(f"{_name}/{_number}/", _cls.as_view()))
