"""Access mixins: who gets in, in which colour, for how many hops; and nobody else."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import itertools
import subprocess
import sys
import types
from unittest import mock

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import mixins as django_mixins
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpResponse
from django.test import RequestFactory, SimpleTestCase, TestCase

from django_async_cbv.auth import mixins
from django_async_cbv.auth.mixins import (
    AsyncLoginRequiredMixin,
    AsyncPermissionRequiredMixin,
    AsyncUserPassesTestMixin,
)
from django_async_cbv.core.guards import GUARDED
from django_async_cbv.sync import run_sync
from django_async_cbv.views import AsyncListView, AsyncView
from tests.hops import count_hops

SECRET = "what only members see"


class Secret(AsyncView):
    """Tells whether its body was ever begun."""

    begun = 0

    def setup(self, *args, **kwargs):
        super().setup(*args, **kwargs)
        type(self).begun = 0

    def get(self, request):
        type(self).begun += 1
        return HttpResponse(SECRET)


class AsyncSecret(Secret):
    async def get(self, request):
        type(self).begun += 1
        await asyncio.sleep(0)
        return HttpResponse(SECRET)


def request_of(user):
    request = RequestFactory().get("/secret/?a=1")
    request.user = user
    return request


MEMBER, STRANGER = User(username="member"), AnonymousUser()


class TestNames(SimpleTestCase):
    def test_each_of_djangos_has_a_twin(self):
        for name, theirs in vars(django_mixins).items():
            if inspect.isclass(theirs) and theirs.__module__ == django_mixins.__name__:
                ours = getattr(mixins, f"Async{name}")
                self.assertTrue(issubclass(ours, theirs))


class TestLoginRequired(SimpleTestCase):
    async def test_who_gets_in(self):
        for base in (Secret, AsyncSecret):
            view = type("View", (AsyncLoginRequiredMixin, base), {}).as_view()
            response = await view(request_of(MEMBER))
            self.assertEqual(response.content.decode(), SECRET)
            response = await view(request_of(STRANGER))
            self.assertEqual(response.status_code, 302)
            self.assertEqual(response.url, "/accounts/login/?next=/secret/%3Fa%3D1")

    async def test_hops(self):
        for base, hops_in, hops_out in ((Secret, 1, 1), (AsyncSecret, 1, 1)):
            cls = type("View", (AsyncLoginRequiredMixin, base), {"setup": _plain})
            for user, expected in ((MEMBER, hops_in), (STRANGER, hops_out)):
                with count_hops() as hops:
                    await cls.as_view()(request_of(user))
                self.assertEqual(hops.count, expected)

    async def test_hooks(self):
        class Hooks(AsyncLoginRequiredMixin, AsyncSecret):
            async def aget_login_url(self):
                await asyncio.sleep(0)
                return "/there/"

            async def aget_redirect_field_name(self):
                return "then"

            async def aget_permission_denied_message(self):
                return "not you"

        response = await Hooks.as_view()(request_of(STRANGER))
        self.assertEqual(response.url, "/there/?then=/secret/%3Fa%3D1")
        with self.assertRaisesMessage(PermissionDenied, "not you"):
            await Hooks.as_view(raise_exception=True)(request_of(STRANGER))

    async def test_handle_no_permission_in_each_colour(self):
        class Sync:
            def handle_no_permission(self):
                return HttpResponse("sync", status=401)

        class Async:
            async def ahandle_no_permission(self):
                await asyncio.sleep(0)
                return HttpResponse("async", status=401)

        for override in (Sync, Async):
            for base in (Secret, AsyncSecret):
                bases = (override, AsyncLoginRequiredMixin, base)
                response = await type("View", bases, {}).as_view()(request_of(STRANGER))
                self.assertEqual(response.content.decode(), override.__name__.lower())


def _plain(self, *args, **kwargs):
    AsyncView.setup(self, *args, **kwargs)


class TestPermissionRequired(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.allowed = User.objects.create_user("allowed")
        cls.allowed.user_permissions.set(Permission.objects.filter(codename="add_book"))
        cls.other = User.objects.create_user("other")

    async def test_who_gets_in(self):
        for base in (Secret, AsyncSecret):
            cls = type("View", (AsyncPermissionRequiredMixin, base), {})
            for required in ("app.add_book", ("app.add_book",)):
                view = cls.as_view(permission_required=required)
                fresh = await User.objects.aget(pk=self.allowed.pk)
                response = await view(request_of(fresh))
                self.assertEqual(response.content.decode(), SECRET)
                with self.assertRaises(PermissionDenied):
                    await view(request_of(self.other))
            with self.assertRaisesMessage(ImproperlyConfigured, "permission_required"):
                await cls.as_view()(request_of(self.allowed))

    async def test_hooks(self):
        class Required(AsyncPermissionRequiredMixin, AsyncSecret):
            async def aget_permission_required(self):
                await asyncio.sleep(0)
                return ["app.add_book"]

        class Has(AsyncPermissionRequiredMixin, AsyncSecret):
            async def ahas_permission(self):
                user = await run_sync(lambda: self.request.user)
                return user.username == "allowed"

        for cls in (Required, Has):
            fresh = await User.objects.aget(pk=self.allowed.pk)
            response = await cls.as_view()(request_of(fresh))
            self.assertEqual(response.content.decode(), SECRET)
            with self.assertRaises(PermissionDenied):
                await cls.as_view()(request_of(self.other))


class TestUserPassesTest(SimpleTestCase):
    async def test_each_colour(self):
        class Sync(AsyncUserPassesTestMixin):
            def test_func(self):
                return self.request.user.is_authenticated

        class Async(AsyncUserPassesTestMixin):
            async def atest_func(self):
                await asyncio.sleep(0)
                return self.request.user.is_authenticated

        class Renamed(AsyncUserPassesTestMixin):
            def is_member(self):
                return self.request.user.is_authenticated

            def get_test_func(self):
                return self.is_member

        class AsyncRenamed(AsyncUserPassesTestMixin):
            async def is_member(self):
                await asyncio.sleep(0)
                return self.request.user.is_authenticated

            async def aget_test_func(self):
                return self.is_member

        class Bridged(Async):
            def get_test_func(self):
                return self.test_func

        class AwaitsSync(Sync):
            async def atest_func(self):
                return await super().atest_func()

        class GivesAsync(Async):
            async def aget_test_func(self):
                return self.atest_func

        for mixin in (
            *(Sync, Async, Renamed, AsyncRenamed, Bridged),
            *(AwaitsSync, GivesAsync),
        ):
            for base in (Secret, AsyncSecret):
                with self.subTest(mixin=mixin, base=base):
                    view = type("View", (mixin, base), {}).as_view()
                    response = await view(request_of(MEMBER))
                    self.assertEqual(response.content.decode(), SECRET)
                    response = await view(request_of(STRANGER))
                    self.assertEqual(response.status_code, 302)

    async def test_without_a_test_nobody_gets_in(self):
        view = type("View", (AsyncUserPassesTestMixin, Secret), {}).as_view()
        with self.assertRaisesMessage(NotImplementedError, "test_func()"):
            await view(request_of(MEMBER))


class Wrong(Exception):
    pass


async def coroutine_function():
    return True


async def async_generator():
    yield True


class Awaitable:
    def __await__(self):
        yield


def failing():
    raise Wrong


# What a verdict may be by mistake, made anew each time; and that Python calls true.
NO_VERDICTS = {
    "coroutine": coroutine_function,
    "awaitable": Awaitable,
    "coroutine function": lambda: coroutine_function,
    "partial": lambda: functools.partial(coroutine_function),
    "async generator": async_generator,
    "async generator function": lambda: async_generator,
    "future": lambda: asyncio.get_running_loop().create_future(),
}
REFUSALS = {
    "None": lambda: None,
    "False": lambda: False,
    "zero": lambda: 0,
    "empty": list,
}
ERRORS = {"exception": failing}
GRANTS = {"True": lambda: True, "truthy": lambda: "yes", "list": lambda: [0]}


class Asks:
    """As django-guardian, django-braces and django-allauth ask."""

    hook = ""

    def dispatch(self, request, *args, **kwargs):
        if not getattr(self, self.hook)(request):
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)


def asking(hook):
    return type("Asking", (Asks,), {"hook": hook, hook: lambda self, request: False})


class AsksEither:
    """As django-guardian asks: the sync check, or on the event loop the async one."""

    def check_permissions(self, request):
        return None

    async def acheck_permissions(self, request):
        return None

    def dispatch(self, request, *args, **kwargs):
        if self.view_is_async:
            return self._dispatch(request, *args, **kwargs)
        return self.check_permissions(request) or super().dispatch(
            request, *args, **kwargs
        )

    async def _dispatch(self, request, *args, **kwargs):
        denied = await self.acheck_permissions(request)
        return denied or await super().dispatch(request, *args, **kwargs)


SYNC_MIXINS = [
    (django_mixins.UserPassesTestMixin, "test_func"),
    (django_mixins.UserPassesTestMixin, "get_test_func"),
    (django_mixins.PermissionRequiredMixin, "has_permission"),
    *((asking(hook), hook) for hook in GUARDED if hook != "get_test_func"),
]
WHERE = ("class", "mixin", "patched", "instance")
CLOSED = asyncio.new_event_loop()
CLOSED.close()
ASKED = {
    **NO_VERDICTS,
    # Made in a worker thread, which has no loop.
    "future": lambda: asyncio.Future(loop=CLOSED),
    "AsyncMock": mock.AsyncMock(),
    "coroutine of a partial": functools.partial(coroutine_function),
}


def asked(hook, make):
    """A sync method that gives what has to be awaited, or a function that does."""
    if hook == "get_test_func":
        return lambda *args: lambda: make()  # noqa: PLW0108
    return lambda *args: make()


MIXINS = {
    AsyncUserPassesTestMixin: "test_func",
    AsyncPermissionRequiredMixin: "has_permission",
}


def verdicts(hook, make):
    """The verdict of a hook, overridden in each colour."""

    def sync(self):
        return make()

    async def twin(self):
        return make()

    return {"sync": {hook: sync}, "async": {f"a{hook}": twin}}


FIRST_IMPORT = """
import asyncio
import sys

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=[
        "django.contrib.auth", "django.contrib.contenttypes", "django_async_cbv"
    ]
)
django.setup()

from django.contrib.auth.mixins import PermissionRequiredMixin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.test import RequestFactory

from django_async_cbv.views import AsyncView

assert "django_async_cbv.auth.mixins" not in sys.modules


class View(PermissionRequiredMixin, AsyncView):
    permission_required = ()

    async def ahas_permission(self):
        print("asked")
        return False

    def get(self, request):
        print("open")
        return HttpResponse()


request = RequestFactory().get("/")
request.user = User(is_superuser=True)
try:
    asyncio.run(View.as_view()(request))
except PermissionDenied:
    print("denied")
"""


class TestFirstImport(SimpleTestCase):
    def test_an_async_check_where_our_mixins_were_not_imported(self):
        done = subprocess.run(
            [sys.executable, "-c", FIRST_IMPORT],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.stdout.split(), ["asked", "denied"])


class TestFailClosed(SimpleTestCase):
    """No body of a protected page is begun, whatever goes wrong with the verdict."""

    def each(self, makes):
        for mixin, hook in MIXINS.items():
            for what, make in makes.items():
                for colour, namespace in verdicts(hook, make).items():
                    for where in ("class", "mixin before", "mixin behind"):
                        for base in (Secret, AsyncSecret):
                            with self.subTest(
                                mixin, what=what, colour=colour, at=where
                            ):
                                yield self.view(mixin, namespace, where, base)

    def view(self, mixin, namespace, where, base):
        override = type("Override", (), namespace)
        if where == "class":
            return type("View", (mixin, base), namespace)
        if where == "mixin before":
            return type("View", (override, mixin, base), {})
        # Behind our mixin Django's own would win, as in Django.
        derived = type("Derived", (mixin,), namespace)
        return type("View", (derived, base), {})

    async def test_what_is_to_be_awaited_lets_nobody_in(self):
        for view in self.each(NO_VERDICTS):
            # A sync function that gives a coroutine is told so by the hop itself.
            with self.assertRaises((ImproperlyConfigured, RuntimeError, TypeError)):
                await view.as_view()(request_of(MEMBER))
            self.assertEqual(view.begun, 0)

    async def test_what_is_false_lets_nobody_in(self):
        for view in self.each(REFUSALS):
            with self.assertRaises(PermissionDenied):
                await view.as_view()(request_of(MEMBER))
            self.assertEqual(view.begun, 0)

    async def test_an_exception_lets_nobody_in(self):
        for view in self.each(ERRORS):
            with self.assertRaises(Wrong):
                await view.as_view()(request_of(MEMBER))
            self.assertEqual(view.begun, 0)

    async def test_what_is_true_lets_in_as_in_django(self):
        for view in self.each(GRANTS):
            response = await view.as_view()(request_of(MEMBER))
            self.assertEqual(response.content.decode(), SECRET)

    async def test_cancelled(self):
        for base in (Secret, AsyncSecret):
            waiting = asyncio.Event()

            class View(AsyncUserPassesTestMixin, base):
                async def atest_func(self, waiting=waiting):
                    waiting.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(View.as_view()(request_of(MEMBER)))
            await waiting.wait()
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(View.begun, 0)

    async def test_a_sync_mixin_that_is_not_ours_lets_nobody_in(self):
        """Django's own, and mixins that ask in their dispatch() as others do."""
        for (mixin, hook), (what, make) in itertools.product(
            SYNC_MIXINS, ASKED.items()
        ):
            for where, base in itertools.product(WHERE, (Secret, AsyncSecret)):
                with self.subTest(mixin, hook=hook, what=what, at=where):
                    value = asked(hook, make)
                    attributes = {}
                    if where == "class":
                        view = type("View", (mixin, base), {hook: value})
                    elif where == "mixin":
                        own = type("Own", (), {hook: value})
                        view = type("View", (own, mixin, base), {})
                    elif where == "patched":
                        view = type("View", (mixin, base), {hook: lambda *a: True})
                        view.as_view()
                        setattr(view, hook, value)
                    else:
                        view = type("View", (mixin, base), {})
                        attributes = {hook: functools.partial(value, None)}
                    with self.assertRaisesMessage(
                        ImproperlyConfigured, "Access is denied."
                    ):
                        await view.as_view(**attributes)(request_of(MEMBER))
                    self.assertEqual(view.begun, 0)

    def each_override_of_either(self):
        """A check overridden in each color and place; what was asked, what to set."""
        for color, where, base in itertools.product(
            ("sync", "async"),
            ("class", "mixin", "base", "patched", "instance"),
            (Secret, AsyncSecret),
        ):
            asked = []

            def sync(self, request, asked=asked):
                asked.append("sync")
                return HttpResponse("denied", status=403)

            async def awaited(self, request, asked=asked):
                asked.append("async")
                return HttpResponse("denied", status=403)

            hook = "check_permissions" if color == "sync" else "acheck_permissions"
            value = sync if color == "sync" else awaited
            attributes = {}
            with self.subTest(color, where=where, base=base):
                if where == "class":
                    view = type("View", (AsksEither, base), {hook: value})
                elif where == "mixin":
                    own = type("Own", (), {hook: value})
                    view = type("View", (own, AsksEither, base), {})
                elif where == "base":
                    own = type("Own", (AsksEither, base), {hook: value})
                    view = type("View", (own,), {})
                else:
                    view = type("View", (AsksEither, base), {})
                    if where == "patched":
                        view.as_view()
                        setattr(view, hook, value)
                    else:
                        attributes = {hook: functools.partial(value, None)}
                yield view, attributes, asked, color

    async def test_a_check_of_another_mixin_in_either_color_is_asked(self):
        for view, attributes, asked, color in self.each_override_of_either():
            response = await view.as_view(**attributes)(request_of(MEMBER))
            self.assertEqual(response.status_code, 403)
            self.assertEqual(asked, [color])
            self.assertEqual(view.begun, 0)

    def test_sync_code_that_calls_dispatch_has_it_asked_too(self):
        for view, attributes, asked, color in self.each_override_of_either():
            # Of a class with an async handler it gets a coroutine, as of Django's.
            if issubclass(view, AsyncSecret) or "acheck_permissions" in attributes:
                continue
            view.as_view()
            made = view(**attributes)
            made.setup(request_of(MEMBER))
            response = made.dispatch(request_of(MEMBER))
            self.assertEqual(response.status_code, 403)
            self.assertEqual(asked, [color])

    async def test_super_leads_on_to_the_override_behind(self):
        class Base(AsksEither, Secret):
            def check_permissions(self, request):
                asked.append("Base")
                return super().check_permissions(request)

        class View(Base):
            def check_permissions(self, request):
                asked.append("View")
                return super().check_permissions(request)

        asked = []
        response = await View.as_view()(request_of(MEMBER))
        self.assertEqual(response.content.decode(), SECRET)
        self.assertEqual(asked, ["View", "Base"])

    async def test_what_is_to_be_awaited_is_no_check(self):
        for make in NO_VERDICTS.values():

            class View(AsksEither, Secret):
                def check_permissions(self, request, make=make):
                    return make()

            with self.assertRaises((ImproperlyConfigured, RuntimeError)):
                await View.as_view()(request_of(MEMBER))
            self.assertEqual(View.begun, 0)

    def test_a_check_overridden_in_both_colors_is_refused(self):
        def sync(self, request):
            return None

        async def awaited(self, request):
            return None

        first = type("First", (), {"check_permissions": sync})
        second = type("Second", (), {"acheck_permissions": awaited})
        for bases in ((first, second), (second, first)):
            view = type("View", (*bases, AsksEither, Secret), {})
            with self.assertRaisesMessage(ImproperlyConfigured, "async_cbv.E013"):
                view.as_view()
        both = {"check_permissions": sync, "acheck_permissions": awaited}
        type("View", (AsksEither, Secret), both).as_view()
        type("View", (type("Both", (), both), first, AsksEither, Secret), {}).as_view()
        wrong = type("View", (AsksEither, Secret), {"check_permissions": awaited})
        with self.assertRaisesMessage(
            ImproperlyConfigured, "`async def acheck_permissions()`"
        ):
            wrong.as_view()

    async def test_code_on_the_event_loop_may_await_it(self):
        class View(AsyncView):
            def check_permissions(self):
                return coroutine_function()

            async def get(self, request):
                granted = await self.check_permissions()
                with pytest.raises(ImproperlyConfigured, match="Access is denied"):
                    bool(self.check_permissions())
                return HttpResponse(str(granted))

        response = await View.as_view()(request_of(MEMBER))
        self.assertEqual(response.content, b"True")

    async def test_the_message_names_what_the_user_wrote(self):
        class Async(AsyncUserPassesTestMixin, Secret):
            async def atest_func(self):
                return coroutine_function()

        class Behind(django_mixins.UserPassesTestMixin, Secret):
            async def atest_func(self):
                return coroutine_function()

        for view in (Async, Behind):
            with self.assertRaisesMessage(
                (ImproperlyConfigured, TypeError),
                f"{view.__name__}.atest_func() returned",
            ):
                await view.as_view()(request_of(MEMBER))

    def test_an_async_hook_under_a_sync_name_is_refused(self):
        async def verdict(self):
            return False

        for mixin, hook in MIXINS.items():
            for bases in ((mixin, Secret), (mixin.__bases__[0], AsyncSecret)):
                view = type("View", bases, {hook: verdict})
                with self.assertRaisesMessage(ImproperlyConfigured, "E001"):
                    view.as_view()

    def test_behind_the_view_it_is_refused(self):
        for mixin in (
            AsyncLoginRequiredMixin,
            AsyncPermissionRequiredMixin,
            AsyncUserPassesTestMixin,
            django_mixins.LoginRequiredMixin,
        ):
            view = type("View", (AsyncListView, mixin), {})
            with self.assertRaisesMessage(
                ImproperlyConfigured, f"Put {mixin.__name__} before AsyncListView"
            ):
                view.as_view()

    async def test_super_hides_nothing(self):
        """A coroutine and anything else is anything else, to Python."""
        for mixin, name in (
            (django_mixins.UserPassesTestMixin, "test_func"),
            (AsyncUserPassesTestMixin, "test_func"),
            (django_mixins.PermissionRequiredMixin, "has_permission"),
            (AsyncPermissionRequiredMixin, "has_permission"),
        ):

            async def ask(self):
                return False

            base = type("Base", (mixin, Secret), {name: lambda self: self.ask()})
            base.ask = ask

            def hiding(self, name=name, base=base):
                return getattr(super(base.sub, self), name)() and True

            base.sub = type("Sub", (base,), {name: hiding})
            with (
                self.subTest(mixin),
                self.assertRaisesMessage(
                    ImproperlyConfigured, f"Base.{name}() returned"
                ),
            ):
                await base.sub.as_view()(request_of(MEMBER))

    async def test_super_hides_nothing_of_an_async_override(self):
        async def ask(self):
            return False

        async def forgets(self):
            return self.ask()

        async def nests(self):
            return await self.asks()

        async def asks(self):
            return self.ask()

        for mixin, name in (
            (django_mixins.UserPassesTestMixin, "atest_func"),
            (AsyncUserPassesTestMixin, "atest_func"),
            (django_mixins.PermissionRequiredMixin, "ahas_permission"),
            (AsyncPermissionRequiredMixin, "ahas_permission"),
        ):
            for check in (forgets, nests):
                names = {name: check, "ask": ask, "asks": asks}
                base = type("Base", (mixin, Secret), names)

                async def hiding(self, name=name, base=base):
                    return await getattr(super(base.sub, self), name)() and True

                base.sub = type("Sub", (base,), {name: hiding})
                with (
                    self.subTest(mixin, check=check),
                    self.assertRaisesMessage(
                        ImproperlyConfigured, f"Base.{name}() returned"
                    ),
                ):
                    await base.sub.as_view()(request_of(MEMBER))

    async def test_super_hides_nothing_of_an_async_test(self):
        """The function that aget_test_func() returns is guarded as the check is."""

        class Base(AsyncUserPassesTestMixin, Secret):
            async def aget_test_func(self):
                return self.forgets

            async def forgets(self):
                return self.ask()

            async def ask(self):
                return False

        class Sub(Base):
            async def aget_test_func(self):
                test = await super().aget_test_func()

                async def both():
                    return await test() and True

                return both

        with self.assertRaisesMessage(ImproperlyConfigured, "Access is denied"):
            await Sub.as_view()(request_of(MEMBER))

    async def test_a_generated_sync_check_hides_nothing(self):
        """Django's mixin asks the sync method that waits for the async override."""

        async def check(self):
            return coroutine_function

        for mixin, name in (
            (django_mixins.UserPassesTestMixin, "atest_func"),
            (django_mixins.PermissionRequiredMixin, "ahas_permission"),
        ):

            def dispatch(self, request, *args, **kwargs):
                response = super(self.sub, self).dispatch(request, *args, **kwargs)
                return response

            base = type("Base", (mixin, Secret), {name: check})
            sub = type("Sub", (base,), {"dispatch": dispatch})
            sub.sub = sub
            for view in (base, sub):
                with (
                    self.subTest(mixin, view=view),
                    self.assertRaisesMessage(ImproperlyConfigured, "Access is denied"),
                ):
                    await view.as_view()(request_of(MEMBER))
            view = base()
            view.setup(request_of(MEMBER))
            with self.assertRaisesMessage(ImproperlyConfigured, "Access is denied"):
                await sync_to_async(getattr(view, name[1:]))()

    async def test_an_override_that_came_later_is_guarded_too(self):
        """A class decorator puts it on a class that others are derived from then."""

        async def ask(self):
            return False

        async def forgets(self):
            return self.ask()

        base = type("Base", (AsyncUserPassesTestMixin, Secret), {"ask": ask})
        base.atest_func = forgets

        class Sub(base):
            async def atest_func(self):
                return await super().atest_func() and True

        with self.assertRaisesMessage(
            ImproperlyConfigured, "Base.atest_func() returned"
        ):
            await Sub.as_view()(request_of(MEMBER))

    async def test_a_name_of_somebody_elses_is_no_check(self):
        class View(AsyncView):
            def is_open(self):
                return coroutine_function

            async def ais_open(self):
                return coroutine_function

            async def get(self, request):
                found = await self.ais_open()
                return HttpResponse(str(found is self.is_open() is coroutine_function))

        response = await View.as_view()(request_of(MEMBER))
        self.assertEqual(response.content, b"True")

    async def test_an_async_override_is_guarded_and_itself(self):
        class View(AsyncUserPassesTestMixin, Secret):
            async def atest_func(self):
                """Ask another service."""
                return True

        response = await View.as_view()(request_of(MEMBER))
        self.assertEqual(response.status_code, 200)
        self.assertEqual(View.atest_func.__doc__, "Ask another service.")
        self.assertIs(View.atest_func, vars(View)["atest_func"])
        # as_view() prepares a class again; its methods stay.
        function = View.atest_func
        View.as_view()
        self.assertIs(View.atest_func, function)

    async def test_what_is_asked_of_the_class(self):
        class Asking:
            def dispatch(self, request, *args, **kwargs):
                if not type(self).has_permission(request):
                    raise PermissionDenied
                return super().dispatch(request, *args, **kwargs)

        class Given(Asking, Secret):
            @classmethod
            async def has_permission(cls, request):
                return False

        with self.assertRaisesMessage(ImproperlyConfigured, "Access is denied"):
            await Given.as_view()(request_of(MEMBER))

    async def test_kinds_that_are_to_be_awaited_in_other_ways(self):
        @types.coroutine
        def generator():
            yield

        class Callable:
            async def __call__(self):
                return False

        class Items:
            def __aiter__(self):
                return self

        for make in (generator, Callable, Items):
            for mixin in (django_mixins.UserPassesTestMixin, AsyncUserPassesTestMixin):
                view = type(
                    "View",
                    (mixin, Secret),
                    {"test_func": lambda self, make=make: make()},
                )
                with (
                    self.subTest(make, mixin=mixin),
                    self.assertRaisesMessage(ImproperlyConfigured, "Access is denied"),
                ):
                    await view.as_view()(request_of(MEMBER))

    async def test_a_guard_is_the_method_to_those_who_look(self):
        class View(django_mixins.UserPassesTestMixin, Secret):
            def test_func(self):
                return False

        self.assertIs(vars(View)["test_func"](View()), False)
        copied = copy.copy(View().test_func)
        self.assertIs(copied(), False)
        with mock.patch.object(View, "test_func", spec=True, return_value=True):
            await View.as_view()(request_of(MEMBER))


def is_member(view):
    return view.request.user.is_authenticated


async def ais_member(view):
    await asyncio.sleep(0)
    return view.request.user.is_authenticated


def failing_to_await():
    return coroutine_function()


class AsksForTest(django_mixins.UserPassesTestMixin):
    """Asks as Django's mixin does, and is not done when its super() is."""

    def dispatch(self, request, *args, **kwargs):
        test = self.get_test_func()
        if not test():
            return self.handle_no_permission()
        response = super(django_mixins.UserPassesTestMixin, self).dispatch(request)
        response["X-Asked"] = "yes"
        return response


class TestGetTestFuncInAsync(SimpleTestCase):
    """Sync code that asks waits for `async def aget_test_func()`; then for its test."""

    MIXINS = (
        django_mixins.UserPassesTestMixin,
        AsksForTest,
        AsyncUserPassesTestMixin,
    )
    # What aget_test_func() returns of a view: a function that is right.
    FUNCTIONS = {
        "method": lambda view: view.is_member,
        "async method": lambda view: view.ais_member,
        "function": lambda view: lambda: is_member(view),
        "partial": lambda view: functools.partial(is_member, view),
        "async partial": lambda view: functools.partial(ais_member, view),
        "test_func": lambda view: view.test_func,
        "atest_func": lambda view: view.atest_func,
        "AsyncMock": lambda view: mock.AsyncMock(side_effect=lambda: is_member(view)),
    }
    # What it returns by mistake, made anew each time.
    RESULTS = ("coroutine", "awaitable", "future", "async generator")

    def views(self, give, **test):
        """Views of each mixin, whose aget_test_func() is overridden in each place."""

        async def aget_test_func(self):
            await asyncio.sleep(0)
            return give(self)

        def setup(self, *args, **kwargs):
            self.aget_test_func = types.MethodType(aget_test_func, self)
            Secret.setup(self, *args, **kwargs)

        override = {"aget_test_func": aget_test_func}
        methods = {"is_member": is_member, "ais_member": ais_member, **test}
        for mixin, base in itertools.product(self.MIXINS, (Secret, AsyncSecret)):
            own = type("Own", (), override)
            patched = type("Patched", (mixin, base), methods)
            patched.as_view()
            patched.aget_test_func = aget_test_func
            yield type("OnClass", (mixin, base), {**methods, **override})
            yield type("OnMixin", (own, mixin, base), methods)
            yield patched
            yield type("OnView", (mixin, base), {**methods, "setup": setup})

    async def ask(self, view, user):
        """The responses to async code, and to sync code where that gets one."""
        yield lambda: view.as_view()(request_of(user))
        if not issubclass(view, AsyncSecret):
            yield lambda: run_sync(lambda: view.as_view()(request_of(user)))

    async def test_granted_and_denied(self):
        for what, give in self.FUNCTIONS.items():
            # Both names lead to it; to sync code the other waits for it.
            test = {"atest_func": ais_member} if what.endswith("test_func") else {}
            for view in self.views(give, **test):
                for user, status in ((MEMBER, 200), (STRANGER, 302)):
                    async for ask in self.ask(view, user):
                        with self.subTest(what, view=view.__mro__[:3]):
                            response = await ask()
                            self.assertEqual(response.status_code, status)
                            self.assertEqual(view.begun, int(user is MEMBER))

    async def assertDenied(self, give, what):
        for view in self.views(give):
            async for ask in self.ask(view, MEMBER):
                with self.subTest(what, view=view.__mro__[:3]):
                    with self.assertRaises((ImproperlyConfigured, TypeError)):
                        await ask()
                    self.assertEqual(view.begun, 0)

    async def test_a_coroutine_in_the_place_of_a_function(self):
        for what in self.RESULTS:
            await self.assertDenied(lambda view, make=ASKED[what]: make(), what)

    async def test_a_function_that_gives_a_coroutine(self):
        for what, make in ASKED.items():

            def function(make=make):
                return make()

            await self.assertDenied(lambda view, function=function: function, what)

    async def test_an_async_function_that_gives_a_coroutine(self):
        for what, make in NO_VERDICTS.items():

            async def function(make=make):
                return make()

            await self.assertDenied(lambda view, function=function: function, what)

    async def test_the_message_names_what_the_user_wrote(self):
        for mixin in self.MIXINS:
            for name, method in (
                ("aget_test_func", lambda view: functools.partial(failing_to_await)),
                ("is_member", lambda view: view.is_member),
                ("ais_member", lambda view: view.ais_member),
                ("atest_func", lambda view: view.atest_func),
                ("aget_test_func", lambda view: coroutine_function()),
            ):

                class View(mixin, Secret):
                    async def aget_test_func(self, method=method):
                        return method(self)

                    def is_member(self):
                        return coroutine_function()

                    async def ais_member(self):
                        return coroutine_function()

                    async def atest_func(self):
                        return coroutine_function()

                with (
                    self.subTest(mixin, name=name),
                    self.assertRaisesMessage(
                        ImproperlyConfigured,
                        f"View.{name}() returned <coroutine object coroutine_function",
                    ),
                ):
                    await View.as_view()(request_of(MEMBER))
