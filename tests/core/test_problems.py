"""What as_view() refuses and checks report: each with class, hook, place and fix."""

from __future__ import annotations

import abc
import inspect
import re
import typing
from inspect import isawaitable, iscoroutine
from unittest import mock

import pytest
from asgiref.sync import markcoroutinefunction
from django.contrib.auth import mixins as auth_mixins
from django.contrib.auth import views as auth_views
from django.contrib.auth.mixins import UserPassesTestMixin
from django.contrib.messages import views as messages_views
from django.contrib.messages.views import SuccessMessageMixin
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import transaction
from django.test import SimpleTestCase, override_settings
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import (
    CreateView,
    FormView,
    ListView,
    View,
    base,
    dates,
    detail,
)
from django.views.generic import edit as edit_views
from django.views.generic import list as list_views
from django.views.generic.base import ContextMixin

from django_async_cbv import checks
from django_async_cbv.auth.mixins import (
    AsyncPermissionRequiredMixin,
    AsyncUserPassesTestMixin,
)
from django_async_cbv.auth.views import AsyncLoginView, AsyncPasswordResetConfirmView
from django_async_cbv.core.hooks import HOOKS, handler_names
from django_async_cbv.core.problems import problems, uncalled_methods, waiting_overrides
from django_async_cbv.messages import AsyncSuccessMessageMixin
from django_async_cbv.views import (
    AsyncContextMixin,
    AsyncCreateView,
    AsyncCreateWithInlinesView,
    AsyncDayArchiveView,
    AsyncDeleteView,
    AsyncFormSetView,
    AsyncFormView,
    AsyncInlineFormSetView,
    AsyncListView,
    AsyncModelFormSetView,
    AsyncRedirectView,
    AsyncTemplateView,
    AsyncUpdateView,
    AsyncUpdateWithInlinesView,
    AsyncView,
    AsyncWeekArchiveView,
    AsyncYearArchiveView,
)
from django_async_cbv.views.streaming import ChannelView


def line_of(function) -> str:
    return f"{__file__}:{function.__code__.co_firstlineno}"


class AsyncUnderASyncName(AsyncListView):
    async def get_queryset(self):
        return []


class Inherited(AsyncUnderASyncName):
    def get_ordering(self):
        return "name"


class AsyncGenerator(AsyncListView):
    async def get_queryset(self):
        yield 1


class AsyncSetup(AsyncView):
    async def setup(self, request, *args, **kwargs):
        pass


class ThirdParty:
    def is_allowed(self):
        return False


class AsyncVerdict(UserPassesTestMixin, AsyncTemplateView):
    async def test_func(self):
        return False


class AsyncTest(AsyncUserPassesTestMixin, AsyncView):
    async def test_func(self):
        return False


class AsyncTestGiven(AsyncUserPassesTestMixin, AsyncView):
    async def get_test_func(self):
        return self.is_member


class YieldingPermission(AsyncPermissionRequiredMixin, AsyncView):
    async def has_permission(self):
        yield False


class SyncTest(AsyncUserPassesTestMixin):
    def test_func(self):
        return False


class AsyncOverASyncTest(SyncTest, AsyncView):
    async def test_func(self):
        return False


class AsyncThirdParty(ThirdParty, AsyncView):
    async def is_allowed(self):
        return False


class SyncUnderATwinsName(AsyncListView):
    def aget_queryset(self):
        return []


class NotEvenAFunction(AsyncListView):
    aget_queryset = None


class DecoratedHook(AsyncCreateView):
    @transaction.atomic
    async def aform_valid(self, form):
        return await super().aform_valid(form)


class DecoratedHandler(AsyncView):
    @transaction.atomic
    async def post(self, request):
        return None


class AsyncContext:
    async def aget_context_data(self, **kwargs):
        return await super().aget_context_data(**kwargs)


class SyncContext:
    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs)


class SyncBeforeAsync(SyncContext, AsyncContext, AsyncTemplateView):
    pass


class SyncBelowAsync(AsyncContext, AsyncTemplateView):
    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs)


class OtherAsyncContext:
    async def aget_context_data(self, **kwargs):
        return await super().aget_context_data(**kwargs)


class OnEachSide(OtherAsyncContext, SyncBeforeAsync):
    pass


class AsyncFirst(AsyncContext, SyncContext, AsyncTemplateView):
    pass


class BothColours(AsyncTemplateView):
    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs) | {"by": "sync"}

    async def aget_context_data(self, **kwargs):
        return await super().aget_context_data(**kwargs) | {"by": "async"}


class Behind(AsyncTemplateView, AsyncContext):
    pass


class UnderDjangos(ContextMixin):
    async def aget_context_data(self, **kwargs):
        return kwargs


class Between(AsyncTemplateView, UnderDjangos):
    pass


class UnderOurs(AsyncContextMixin):
    async def aget_context_data(self, **kwargs):
        return await super().aget_context_data(**kwargs)


class Right(AsyncTemplateView, UnderOurs):
    pass


class PlainAsync:
    async def dispatch(self, request, *args, **kwargs):
        return await super().dispatch(request, *args, **kwargs)


class PlainSync:
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


class SyncOverPlainAsync(PlainSync, PlainAsync, AsyncView):
    pass


class PlainHeader:
    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        response["X-By"] = "header"
        return response


class HeaderOverPlainAsync(PlainHeader, PlainAsync, AsyncView):
    pass


class PlainAware:
    """As django-guardian's mixins: it asks what it has been given."""

    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        return self.arefuse(response) if iscoroutine(response) else response

    async def arefuse(self, response):
        return await response


class AwareOverPlainAsync(PlainAware, PlainAsync, AsyncView):
    pass


class PlainAsyncOverAware(PlainAsync, PlainAware, AsyncView):
    pass


class AsyncOverPlainSync(PlainSync, AsyncView):
    async def dispatch(self, request, *args, **kwargs):
        return await super().dispatch(request, *args, **kwargs)


class Base(PlainSync, AsyncView):
    pass


class AsyncOverABase(Base):
    async def dispatch(self, request, *args, **kwargs):
        return await super().dispatch(request, *args, **kwargs)


class OtherPlainSync:
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


class SyncOverABase(OtherPlainSync, AsyncOverABase):
    pass


class Checks:
    """Asks by itself, as the mixin of a package does."""

    def check_permissions(self, request):
        return True

    def dispatch(self, request, *args, **kwargs):
        if not self.check_permissions(request):
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)


class AsyncCheck(Checks, AsyncView):
    async def check_permissions(self, request):
        return False


class Stub:
    """Its own sync code uses what is to be filled in."""

    def load(self):
        raise NotImplementedError

    def title(self):
        return f"{self.load()}"


class AsyncStub(Stub, AsyncView):
    async def load(self):
        return ""

    async def get(self, request):
        return await self.load()


class ByName:
    def load(self):
        raise NotImplementedError

    def title(self):
        return getattr(self, "load")()  # noqa: B009


class AsyncByName(ByName, AsyncView):
    async def load(self):
        return ""

    async def get(self, request):
        return await self.load()


class YieldingHook(AsyncListView):
    async def aget_queryset(self):
        yield 1


class YieldingHandler(AsyncView):
    async def get(self, request):
        yield 1


class Source(typing.Protocol):
    def load(self) -> typing.Awaitable[str]: ...


class OfProtocol(AsyncView, Source):
    async def load(self):
        return ""


class Abstract(abc.ABC):
    @abc.abstractmethod
    def load(self) -> typing.AsyncIterator[str]: ...


class OfAbstract(Abstract, AsyncView):
    async def load(self):
        yield ""


class Unannotated(abc.ABC):
    @abc.abstractmethod
    def load(self): ...

    async def get(self, request):
        return await self.load()


class OfUnannotated(Unannotated, AsyncView):
    async def load(self):
        return ""


class TakesEither(AsyncView):
    def load(self):
        return ""

    async def get(self, request):
        loaded = self.load()
        return await loaded if isawaitable(loaded) else loaded


class GivesAsync(TakesEither):
    async def load(self):
        return await super().load()


class StubOfMany(AsyncView):
    def rows(self):
        raise NotImplementedError

    async def get(self, request):
        return [row async for row in self.rows()]


class GivesMany(StubOfMany):
    async def rows(self):
        yield ""


REFUSED = [
    (
        AsyncTest,
        "async_cbv.E001",
        "AsyncTest.test_func() is async, but the view awaits only atest_func(). Each "
        "request would fail. Rename it: `async def atest_func()`, and return True for "
        "users who may see the page. (",
        [AsyncTest.test_func],
    ),
    (
        AsyncTestGiven,
        "async_cbv.E001",
        "Rename it: `async def aget_test_func()`, and return a sync or async function, "
        "for example `return self.atest_func`. (",
        [AsyncTestGiven.get_test_func],
    ),
    (
        YieldingPermission,
        "async_cbv.E001",
        "YieldingPermission.has_permission() is an async generator, but the view "
        "awaits only ahas_permission(). Each request would fail. Rename it: `async def "
        "ahas_permission()`. In it, `await super().ahas_permission()` checks "
        "permission_required. Return the result instead of a `yield`. (",
        [YieldingPermission.has_permission],
    ),
    (
        AsyncOverASyncTest,
        "async_cbv.E001",
        "Rename it: `async def atest_func()`. In it, `await super().atest_func()` "
        "returns the result of SyncTest.test_func(). (",
        [AsyncOverASyncTest.test_func],
    ),
    (
        AsyncCheck,
        "async_cbv.E001",
        "AsyncCheck.check_permissions() would let everyone in. It is async, and Checks "
        "takes the coroutine for True. Make it sync: `def check_permissions()`.",
        [AsyncCheck.check_permissions],
    ),
    (
        AsyncStub,
        "async_cbv.E001",
        "AsyncStub.load() is async, but the callers of Stub.load() do not await it",
        [AsyncStub.load],
    ),
    (
        AsyncByName,
        "async_cbv.E001",
        "the callers of ByName.load() do not await it",
        [AsyncByName.load],
    ),
    (
        YieldingHook,
        "async_cbv.E002",
        "YieldingHook.aget_queryset() is an async generator, because it has a `yield`. "
        "The view awaits it, so each request would fail. Collect the items in a list",
        [YieldingHook.aget_queryset],
    ),
    (
        YieldingHandler,
        "async_cbv.E002",
        "YieldingHandler.get() is an async generator",
        [inspect.unwrap(YieldingHandler.get)],
    ),
    (
        AsyncUnderASyncName,
        "async_cbv.E001",
        "AsyncUnderASyncName.get_queryset() is async, but the callers of "
        "MultipleObjectMixin.get_queryset() do not await it. They would get a "
        "coroutine instead of the result. Rename it: `async def aget_queryset()`, and "
        "await super().aget_queryset() in it.",
        [AsyncUnderASyncName.get_queryset],
    ),
    (
        Inherited,
        "async_cbv.E001",
        "AsyncUnderASyncName.get_queryset() is async, but the callers of",
        [AsyncUnderASyncName.get_queryset],
    ),
    (
        AsyncGenerator,
        "async_cbv.E001",
        "Rename it: `async def aget_queryset()`, and await super().aget_queryset() in "
        "it. Return the result",
        [AsyncGenerator.get_queryset],
    ),
    (
        AsyncSetup,
        "async_cbv.E001",
        "They would get a coroutine instead of the result. Keep setup() sync, and "
        "await in `async def dispatch()`",
        [AsyncSetup.setup],
    ),
    (
        AsyncVerdict,
        "async_cbv.E001",
        "AsyncVerdict.test_func() would let everyone in. It is async, and "
        "UserPassesTestMixin takes the coroutine for True. Derive AsyncVerdict from "
        "AsyncUserPassesTestMixin instead of UserPassesTestMixin, and rename it: "
        "`async def atest_func()`.",
        [AsyncVerdict.test_func],
    ),
    (
        AsyncThirdParty,
        "async_cbv.E001",
        "AsyncThirdParty.is_allowed() is async, but the callers of "
        "ThirdParty.is_allowed() do not await it. They would get a coroutine instead "
        "of the result. Make it sync: `def is_allowed()`.",
        [AsyncThirdParty.is_allowed],
    ),
    (
        SyncUnderATwinsName,
        "async_cbv.E002",
        "SyncUnderATwinsName.aget_queryset() is not a coroutine function, but the view "
        "awaits it. Each request would fail. Make it `async def aget_queryset()`, or "
        "rename it: `def get_queryset()`.",
        [SyncUnderATwinsName.aget_queryset],
    ),
    (
        DecoratedHook,
        "async_cbv.E002",
        "DecoratedHook.aform_valid() is an `async def` under a sync decorator. The "
        "decorator would end before the body of the method begins. Put the decorator "
        'on a sync method, or on the class: `@method_decorator(..., name="dispatch")`.',
        [inspect.unwrap(DecoratedHook.aform_valid)],
    ),
    (
        DecoratedHandler,
        "async_cbv.E002",
        "DecoratedHandler.post() is an `async def` under a sync decorator",
        [inspect.unwrap(DecoratedHandler.post)],
    ),
    (
        NotEvenAFunction,
        "async_cbv.E002",
        "NotEvenAFunction.aget_queryset() is not a coroutine function",
        [],
    ),
    (
        SyncBeforeAsync,
        "async_cbv.E003",
        "SyncContext.get_context_data() would be skipped on the event loop: its code, "
        "for example a filter, would not run. It is sync, and comes before the async "
        "AsyncContext.aget_context_data() in the MRO of SyncBeforeAsync. Make it "
        "`async def aget_context_data()` and await super().aget_context_data() in it, "
        "or put AsyncContext before SyncContext.",
        [SyncContext.get_context_data, AsyncContext.aget_context_data],
    ),
    (
        SyncBelowAsync,
        "async_cbv.E003",
        # No class can come before one that inherits from it.
        "and await super().aget_context_data() in it.",
        [SyncBelowAsync.get_context_data, AsyncContext.aget_context_data],
    ),
    (
        Behind,
        "async_cbv.E004",
        "AsyncContext.aget_context_data() would never be called, because it comes "
        "after AsyncTemplateView in the MRO of Behind. The page would be shown without "
        "its result. Put AsyncContext before AsyncTemplateView",
        [AsyncContext.aget_context_data],
    ),
    (
        Between,
        "async_cbv.E004",
        "UnderDjangos.aget_context_data() would never be called, because it comes "
        "after AsyncTemplateView",
        [UnderDjangos.aget_context_data],
    ),
    (
        HeaderOverPlainAsync,
        "async_cbv.E005",
        "its super() calls PlainAsync.dispatch(), which is async. `super().dispatch()` "
        "would return a coroutine. Put a class between them",
        [PlainAsync.dispatch],
    ),
    (
        AsyncOverPlainSync,
        "async_cbv.E005",
        "AsyncOverPlainSync.dispatch() is async, but its super() calls "
        "PlainSync.dispatch(), which is sync. `await super().dispatch()` would fail. "
        "Put a class between them, and derive AsyncOverPlainSync from it: "
        "`class Base(PlainSync, AsyncView)`.",
        [inspect.unwrap(AsyncOverPlainSync.dispatch), PlainSync.dispatch],
    ),
]
ACCEPTED = [
    GivesAsync,
    GivesMany,
    OfAbstract,
    OfProtocol,
    OfUnannotated,
    AsyncFirst,
    AsyncOverABase,
    AwareOverPlainAsync,
    BothColours,
    PlainAsyncOverAware,
    Right,
    SyncOverABase,
    SyncOverPlainAsync,
]


@pytest.mark.parametrize(
    ("cls", "check_id", "message", "functions"),
    REFUSED,
    ids=[case[0].__name__ for case in REFUSED],
)
class TestRefused:
    def test_by_as_view(self, cls, check_id, message, functions):
        with pytest.raises(ImproperlyConfigured) as raised:
            cls.as_view()
        told = str(raised.value)
        assert message in told
        assert told.endswith(f"[{check_id}]")
        for function in functions:
            assert line_of(function) in told

    def test_once(self, cls, check_id, message, functions):
        assert [problem.id for problem in problems(cls)] == [check_id]


@pytest.mark.parametrize("cls", ACCEPTED)
def test_accepted(cls):
    assert list(problems(cls)) == []
    cls.as_view()


def test_all_is_told_at_once():
    class Two(AsyncListView):
        async def get_queryset(self):
            pass

        async def get_ordering(self):
            pass

    with pytest.raises(ImproperlyConfigured) as raised:
        Two.as_view()
    assert len(str(raised.value).splitlines()) == 2


def test_an_async_hook_that_hides_a_sync_one_on_each_side():
    assert [problem.id for problem in problems(OnEachSide)] == ["async_cbv.E003"]


def test_what_a_decorator_does_later_is_seen():
    class Decorated(AsyncView):
        async def get(self, request):
            pass

    Decorated.as_view()
    method_decorator(never_cache, name="get")(Decorated)
    Decorated.as_view()

    async def setup(self, request):
        pass

    Decorated.setup = setup
    with pytest.raises(ImproperlyConfigured):
        Decorated.as_view()


def test_methods_that_no_one_calls_sync_may_be_async():
    class Free(AsyncView):
        async def get(self, request):
            pass

        async def helper(self):
            pass

    class Freer(Free):
        async def helper(self):
            pass

    assert list(problems(Freer)) == []


class Waits(AsyncListView):
    def get_queryset(self):
        return super().get_queryset()

    async def aget_ordering(self):
        return "name"


class Misnamed(AsyncView):
    async def aget(self, request):
        return None


class StillDjangos(ListView):
    async def aget_queryset(self):
        return []


class Misspelled(AsyncListView):
    async def aget_contextdata(self, **kwargs):
        return {}


class OwnHelper(AsyncListView):
    async def aget_querysets(self):
        return []

    async def aget_context_data(self, **kwargs):
        return {"querysets": await self.aget_querysets()}


class DjangosInFront(ListView, AsyncView):
    async def aget_queryset(self):
        return []


class OwnName(ListView):
    async def aget_things(self):
        return []


class WaitsNot(AsyncListView):
    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs)

    async def aget_ordering(self):
        return "name"


class TestWaits(SimpleTestCase):
    def test_a_sync_override_that_holds_its_worker(self):
        [problem] = waiting_overrides(Waits)
        assert problem.id == "async_cbv.W001"
        assert problem.message == (
            "Waits.get_queryset() is sync, but Django's code in it calls the async "
            "Waits.aget_ordering(). A worker thread waits for each request"
        )
        assert "`async def aget_queryset()`" in problem.hint
        assert problem.places == (line_of(Waits.get_queryset),)

    def test_others(self):
        for cls in (WaitsNot, BothColours, AsyncListView, AsyncFirst):
            assert list(waiting_overrides(cls)) == []


class Guarded(
    AsyncPermissionRequiredMixin,
    AsyncUserPassesTestMixin,
    AsyncSuccessMessageMixin,
    AsyncFormView,
):
    pass


# Together they have each hook.
CLASSES = [
    AsyncCreateWithInlinesView,
    AsyncDayArchiveView,
    AsyncInlineFormSetView,
    AsyncLoginView,
    AsyncModelFormSetView,
    AsyncPasswordResetConfirmView,
    AsyncRedirectView,
    AsyncWeekArchiveView,
    AsyncYearArchiveView,
    ChannelView,
    Guarded,
]


class Override:
    """An async method. It has no code: to look into hundreds of them takes long."""

    async def __call__(self, *args, **kwargs):
        return None


an_override = markcoroutinefunction(Override())


def handlers(cls):
    names = handler_names(cls)
    return {*names, *(f"a{name}" for name in names)}


def misspelled(aname):
    """A name as people get it wrong: in a letter, or without its last word."""
    middle = len(aname) // 2
    shorter = aname.rpartition("_")[0]
    return {
        aname[:-1],
        f"{aname}s",
        aname[:middle] + aname[middle + 1 :],
        f"{aname[:middle]}x{aname[middle:]}",
        f"{aname[:-1]}x",
        f"{aname[:-2]}{aname[-1]}{aname[-2]}",
        *([shorter] if "_" in shorter.lstrip("_") else []),
    } - {aname}


def methods_of(cls):
    """The methods that a class defines, but for those that every view has."""
    return {
        name
        for name, value in vars(cls).items()
        if inspect.isfunction(value) and not hasattr(View, name)
    }


def assert_not_taken_for_hooks(names):
    """No view of ours is told that one of these, written async, is a hook's name."""
    for cls in CLASSES:
        hooks = {name for pair in HOOKS.items() for name in pair if hasattr(cls, name)}
        space = {
            wrong: an_override
            for name in names
            # As people name the async variant of a method.
            for wrong in {name, *([] if name.startswith("_") else [f"a{name}"])}
            if wrong not in hooks | handlers(cls)
        }
        subject = type("Subject", (cls,), {**space, "__module__": __name__})
        found = [problem.message for problem in uncalled_methods(subject)]
        assert found == []


class TestOverlooked(SimpleTestCase):
    def test_a_handler_under_a_twins_name(self):
        [problem] = uncalled_methods(Misnamed)
        assert problem.id == "async_cbv.W002"
        assert problem.message.startswith("Misnamed.aget() is never called")
        assert problem.hint == "Rename it: `async def get()`."
        assert problem.places == (line_of(Misnamed.aget),)

    def test_an_async_hook_on_a_view_of_djangos(self):
        [problem] = uncalled_methods(StillDjangos)
        assert problem.id == "async_cbv.W003"
        assert problem.message.startswith(
            "StillDjangos.aget_queryset() is never called"
        )
        assert problem.places == (line_of(StillDjangos.aget_queryset),)

    def test_a_hook_that_is_misspelled(self):
        [problem] = uncalled_methods(Misspelled)
        assert problem.id == "async_cbv.W007"
        assert problem.message.startswith(
            "Misspelled.aget_contextdata() is never called"
        )
        assert problem.hint.startswith("If you mean the hook aget_context_data(), ")
        assert problem.places == (line_of(Misspelled.aget_contextdata),)

    def test_each_hook_that_is_a_letter_or_a_word_off(self):
        assert {name for name in HOOKS for cls in CLASSES if hasattr(cls, name)} == {
            *HOOKS
        }
        for cls in CLASSES:
            hooks = {aname for name, aname in HOOKS.items() if hasattr(cls, name)}
            wrong = {name for aname in hooks for name in misspelled(aname)}
            wrong -= hooks | HOOKS.keys() | handlers(cls)
            space = {**dict.fromkeys(wrong, an_override), "__module__": __name__}
            found = {}
            for problem in uncalled_methods(type("Subject", (cls,), space)):
                assert problem.id == "async_cbv.W007"
                name = re.match(r"Subject\.(\w+)", problem.message)[1]
                found[name] = re.search(
                    r"rename it: `async def (\w+)\(\)", problem.hint
                )[1]
            with self.subTest(cls=cls):
                assert found.keys() == wrong
                for name, meant in found.items():
                    # Another hook may be as near.
                    assert meant in hooks
                    assert name in misspelled(meant)

    def test_no_method_of_django_is_taken_for_one(self):
        names = {
            name
            for module in (
                *(base, dates, detail, edit_views, list_views),
                *(auth_mixins, auth_views, messages_views),
            )
            for cls in vars(module).values()
            if isinstance(cls, type) and cls.__module__ == module.__name__
            for name in methods_of(cls)
        }
        assert len(names) > 70
        assert_not_taken_for_hooks(names)

    def test_a_view_of_djangos_in_front_of_ours(self):
        [problem] = uncalled_methods(DjangosInFront)
        assert problem.id == "async_cbv.W008"
        assert "derived from Django's ListView" in problem.message
        assert problem.hint == "Derive DjangosInFront from AsyncListView instead."

    def test_others(self):
        for cls in (
            OwnName,
            OwnHelper,
            BothColours,
            AsyncListView,
            ListView,
            AsyncOverABase,
        ):
            assert list(uncalled_methods(cls)) == []


MESSAGE_MIXINS = (AsyncSuccessMessageMixin, SuccessMessageMixin)
FORM_VIEWS = (
    AsyncFormView,
    AsyncCreateView,
    AsyncUpdateView,
    AsyncDeleteView,
    AsyncCreateWithInlinesView,
    AsyncUpdateWithInlinesView,
)
FORMSET_VIEWS = (AsyncFormSetView, AsyncModelFormSetView, AsyncInlineFormSetView)


@pytest.mark.parametrize("mixin", MESSAGE_MIXINS, ids=lambda cls: cls.__name__)
class TestSuccessMessages:
    def told(self, cls):
        """The message and the hint of E011, which as_view() raises with; or None."""
        found = [*problems(cls)]
        if not found:
            cls.as_view()
            return None
        [problem] = found
        assert problem.id == "async_cbv.E011"
        assert problem.places == (f"module {__name__}",)
        with pytest.raises(ImproperlyConfigured) as raised:
            cls.as_view()
        assert str(raised.value) == str(problem)
        return problem.message, problem.hint

    @pytest.mark.parametrize("view", FORM_VIEWS, ids=lambda cls: cls.__name__)
    def test_behind_a_view(self, mixin, view):
        class Saying(view, mixin):
            pass

        class Derived(Saying):
            """Can't put them in order, as its base has done so: that is named."""

        names = mixin.__name__, view.__name__
        for cls in (Saying, Derived):
            message, hint = self.told(cls)
            assert message == (
                f"{names[0]} comes after {names[1]} in the MRO of {cls.__name__}, "
                "so nothing calls its form_valid(). Users would see no message"
            )
            assert hint == (
                f"Put {names[0]} before {names[1]}: "
                f"`class Saying({names[0]}, {names[1]})`."
            )

    def test_a_mixin_of_the_projects_own_is_named(self, mixin):
        class Said(mixin):
            success_message = "Saved."

        class Saying(AsyncCreateView, Said):
            pass

        message, hint = self.told(Saying)
        assert message.startswith("Said comes after AsyncCreateView")
        assert hint.endswith("`class Saying(Said, AsyncCreateView)`.")

    @pytest.mark.parametrize("view", FORMSET_VIEWS, ids=lambda cls: cls.__name__)
    def test_on_a_view_of_a_formset(self, mixin, view):
        for bases in ((mixin, view), (view, mixin)):
            message, hint = self.told(type("Saying", bases, {"__module__": __name__}))
            assert message.startswith(
                f"{mixin.__name__} queues its message in form_valid(), which Saying "
                "does not call"
            )
            assert "`async def aformset_valid(self, formset)`" in hint

    @pytest.mark.parametrize("view", FORM_VIEWS, ids=lambda cls: cls.__name__)
    def test_in_front(self, mixin, view):
        class Saying(mixin, view):
            pass

        class Valid(view):
            def form_valid(self, form):
                return super().form_valid(form)

        class AsyncValid(view):
            async def aform_valid(self, form):
                return await super().aform_valid(form)

        class Derived(Saying, view):
            pass

        class Inherited(mixin, Valid):
            pass

        for cls in (Saying, Derived, Inherited, Valid, AsyncValid):
            assert self.told(cls) is None, cls

        # Django's mixin is sync, and refused in front of an async hook (E003).
        if mixin is AsyncSuccessMessageMixin:
            assert self.told(type("Inherited", (mixin, AsyncValid), {})) is None

    def test_without_a_form_view(self, mixin):
        class Saying(mixin, AsyncTemplateView):
            """Has a form_valid() that nothing calls, as it has no form."""

        class Djangos(CreateView, mixin):
            """Not a view of ours."""

        assert self.told(Saying) is None
        assert not issubclass(Djangos, AsyncView)
        Djangos.as_view()


class Mended(AsyncListView):
    """Becomes wrong after as_view() has had a look at it."""

    template_name = "page.html"


urlpatterns = [
    path("fine/", AsyncFirst.as_view()),
    path("twice/", AsyncFirst.as_view()),
    path("django/", FormView.as_view()),
    path("waits/", Waits.as_view()),
    path("still/", StillDjangos.as_view()),
    path("included/", include([path("late/", Mended.as_view())])),
]


@override_settings(ROOT_URLCONF=__name__)
class TestChecks(SimpleTestCase):
    def run_check(self) -> str:
        import io

        stderr = io.StringIO()
        # The views of other tests are imported as well.
        others = mock.patch.object(checks.urlconf, "imported_views", list)
        try:
            with others:
                call_command("check", stdout=io.StringIO(), stderr=stderr)
        except SystemCheckError as error:
            return str(error)
        return stderr.getvalue()

    def test_each_routed_view_is_looked_at(self):
        told = self.run_check()
        assert "Waits'>: (async_cbv.W001) Waits.get_queryset() is sync" in told
        assert "HINT: Make it `async def aget_queryset()`" in told
        assert "StillDjangos'>: (async_cbv.W003)" in told
        assert "2 issues" in told

        async def get_queryset(self):
            return []

        Mended.get_queryset = get_queryset
        self.addCleanup(delattr, Mended, "get_queryset")
        told = self.run_check()
        assert "(async_cbv.E001) Mended.get_queryset() is async" in told
        assert line_of(get_queryset) in told
        assert "HINT: Rename it: `async def aget_queryset()" in told

    def test_without_a_urlconf(self):
        with override_settings(ROOT_URLCONF=None):
            from django_async_cbv.checks import check_views

            assert check_views() == []
