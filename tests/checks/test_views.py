"""What the checks say of views that are Django's own, and that they do not cry wolf."""

from __future__ import annotations

import gc
import types
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.mixins import (
    LoginRequiredMixin,
    PermissionRequiredMixin,
    UserPassesTestMixin,
)
from django.contrib.auth.views import LoginView
from django.core.checks.urls import check_url_config
from django.db import connections, transaction
from django.http import HttpResponse
from django.test import AsyncClient, SimpleTestCase, TestCase, override_settings
from django.urls import include, path
from django.utils.decorators import (
    method_decorator,
    sync_and_async_middleware,
    sync_only_middleware,
)
from django.views.decorators.cache import never_cache
from django.views.generic import (
    CreateView,
    DeleteView,
    FormView,
    TemplateView,
    UpdateView,
    View,
)

from django_async_cbv.auth.mixins import AsyncLoginRequiredMixin
from django_async_cbv.checks import check_imported_views, check_views
from django_async_cbv.checks.urlconf import called_by_sync_code
from django_async_cbv.checks.views import unguarded
from django_async_cbv.forms import ais_valid
from django_async_cbv.views import (
    AsyncCreateView,
    AsyncFormView,
    AsyncTemplateView,
    AsyncView,
)
from tests.app.models import Book, Loan

SECRET = "what only members see"


class AsyncPage(View):
    async def get(self, request):
        return HttpResponse(SECRET)


class SyncPage(View):
    def get(self, request):
        return HttpResponse(SECRET)


class OpenByTest(UserPassesTestMixin, AsyncPage):
    async def test_func(self):
        return False


class OpenToSync(UserPassesTestMixin, SyncPage):
    async def test_func(self):
        return False


class OpenByPermission(PermissionRequiredMixin, AsyncPage):
    async def has_permission(self):
        return False


class OpenByGenerator(UserPassesTestMixin, SyncPage):
    async def test_func(self):
        yield False


class Fails(LoginRequiredMixin, AsyncPage):
    pass


@method_decorator(login_required, name="dispatch")
class FailsDecorated(AsyncPage):
    pass


class SyncTest(UserPassesTestMixin, SyncPage):
    def test_func(self):
        return False


class SyncLogin(LoginRequiredMixin, SyncPage):
    pass


@method_decorator(login_required, name="dispatch")
class SyncDecorated(SyncPage):
    pass


@method_decorator(never_cache, name="dispatch")
class OtherDecorator(AsyncPage):
    pass


class OpenTemplate(UserPassesTestMixin, TemplateView):
    template_name = "page.html"

    async def test_func(self):
        return False


class Unasked(LoginRequiredMixin, TemplateView):
    template_name = "page.html"

    async def atest_func(self):
        return False


class UnaskedOfDjangos(PermissionRequiredMixin, SyncPage):
    permission_required = ()

    async def ahas_permission(self):
        return False


class UnaskedOfOurs(AsyncLoginRequiredMixin, AsyncView):
    async def ahas_permission(self):
        return False

    async def get(self, request):
        return HttpResponse(SECRET)


class OursOnDjangos(AsyncLoginRequiredMixin, AsyncPage):
    pass


class Asked(UserPassesTestMixin, AsyncView):
    async def atest_func(self):
        return False

    async def get(self, request):
        return HttpResponse(SECRET)


class Ours(AsyncLoginRequiredMixin, AsyncView):
    async def get(self, request):
        return HttpResponse(SECRET)


class OursWithDjangos(LoginRequiredMixin, AsyncView):
    async def get(self, request):
        return HttpResponse(SECRET)


async def function(request):
    return HttpResponse(SECRET)


class URLs:
    """A URLconf of these patterns, and no others."""

    def __init__(self, *patterns):
        self.urlpatterns = patterns


def told(*patterns):
    with override_settings(ROOT_URLCONF=URLs(*patterns)):
        return {message.id: message for message in check_views()}


class TestUnguarded(TestCase):
    @pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
    async def test_what_is_found_is_open_or_fails(self):
        """The mistake is real: else the check would be of no use."""
        for cls, expected in (
            (OpenByTest, SECRET),
            (OpenToSync, SECRET),
            (OpenByPermission, SECRET),
            (OpenByGenerator, SECRET),
            (Fails, None),
            (FailsDecorated, None),
        ):
            with self.subTest(cls=cls):
                patterns = URLs(path("", cls.as_view()))
                client = AsyncClient(raise_request_exception=False)
                logged = self.assertNoLogs() if expected else self.assertLogs()
                with override_settings(ROOT_URLCONF=patterns, DEBUG=False), logged:
                    response = await client.get("/")
                if expected:
                    self.assertEqual(response.content.decode(), expected)
                else:
                    self.assertEqual(response.status_code, 500)

    def test_each_is_named_with_its_fix(self):
        for cls, check_id, message, hint in (
            (
                OpenByTest,
                "E007",
                "OpenByTest.test_func() is async, and UserPassesTestMixin.dispatch() "
                "takes",
                "Derive OpenByTest from AsyncUserPassesTestMixin and AsyncView",
            ),
            (OpenToSync, "E007", "is open to everyone", "`async def atest_func()`"),
            (
                OpenByPermission,
                "E007",
                "OpenByPermission.has_permission() is async",
                "AsyncPermissionRequiredMixin",
            ),
            (OpenByGenerator, "E007", "is open to everyone", "atest_func()"),
            (
                OpenTemplate,
                "E007",
                "OpenTemplate.test_func() is async",
                "Derive OpenTemplate from AsyncUserPassesTestMixin and "
                "AsyncTemplateView",
            ),
            (
                Unasked,
                "E010",
                "Unasked.atest_func() is never called",
                "from AsyncUserPassesTestMixin and AsyncTemplateView",
            ),
            (
                UnaskedOfDjangos,
                "E010",
                "UnaskedOfDjangos has no mixin that calls it",
                "from AsyncPermissionRequiredMixin and AsyncView",
            ),
            (
                UnaskedOfOurs,
                "E010",
                "UnaskedOfOurs is open to everyone",
                "from AsyncPermissionRequiredMixin and AsyncView",
            ),
            (
                OursOnDjangos,
                "E008",
                "AsyncLoginRequiredMixin.dispatch() is sync",
                "Derive OursOnDjangos from AsyncLoginRequiredMixin and AsyncView",
            ),
            (
                Fails,
                "E008",
                "LoginRequiredMixin.dispatch() is sync",
                "Derive Fails from AsyncLoginRequiredMixin and AsyncView",
            ),
            (
                FailsDecorated,
                "E008",
                "The decorator of FailsDecorated.dispatch() is sync",
                "Derive FailsDecorated from AsyncView",
            ),
        ):
            with self.subTest(cls=cls):
                found = told(path("", cls.as_view()))
                self.assertEqual([*found], [f"async_cbv.{check_id}"])
                self.assertIn(message, found[f"async_cbv.{check_id}"].msg)
                self.assertIn(hint, found[f"async_cbv.{check_id}"].hint)

    def test_others(self):
        for cls in (SyncTest, SyncLogin, SyncDecorated, OtherDecorator, TemplateView):
            self.assertEqual(list(unguarded(cls)), [])
        self.assertEqual(told(path("", Ours.as_view())), {})
        self.assertEqual(told(path("", OursWithDjangos.as_view())), {})
        self.assertEqual(told(path("", Asked.as_view())), {})

    def test_it_does_not_cry_wolf(self):
        found = told(
            path("admin/", admin.site.urls),
            path("accounts/", include("django.contrib.auth.urls")),
            path("function/", login_required(function)),
            path("ours/", Ours.as_view()),
        )
        self.assertEqual(found, {})


class Validating(forms.ModelForm):
    class Meta:
        model = Book
        fields = ("title",)

    async def aclean(self):
        raise forms.ValidationError("Never.")


class ValidatingField(forms.ModelForm):
    class Meta:
        model = Book
        fields = ("title",)

    async def aclean_title(self):
        raise forms.ValidationError("Never.")


class Derived(ValidatingField):
    """Validates by what its base has."""


class ValidatingLogin(AuthenticationForm):
    async def aclean(self):
        raise forms.ValidationError("Never.")


class ValidatingFormSet(forms.BaseModelFormSet):
    async def aclean(self):
        raise forms.ValidationError("Never.")


class Plain(forms.ModelForm):
    class Meta:
        model = Book
        fields = ("title",)

    def clean(self):
        return super().clean()

    def aclean(self):
        """Sync, so it is a name of the project's own."""

    async def aclean_up(self):
        """Is of no field."""


class OwnPost(CreateView):
    form_class = Validating

    def post(self, request):
        return HttpResponse(async_to_sync(ais_valid)(self.get_form()))


FormSet = forms.modelformset_factory(Book, form=Derived)
FormSetThatValidates = forms.modelformset_factory(
    Book, fields=["title"], formset=ValidatingFormSet
)


def routed(view, **options):
    """A class derived from a view, by its URL."""
    return path("", type("Subject", (view,), options).as_view(success_url="/"))


class TestUnvalidated(TestCase):
    FORMS = (
        (Validating, "Validating.aclean()"),
        (ValidatingField, "ValidatingField.aclean_title()"),
        (Derived, "ValidatingField.aclean_title()"),
        (FormSet, "ValidatingField.aclean_title()"),
        (FormSetThatValidates, "ValidatingFormSet.aclean()"),
    )

    def test_views_of_djangos(self):
        for view in (FormView, CreateView, UpdateView, DeleteView):
            for form_class, method in self.FORMS:
                with self.subTest(view=view, form=form_class):
                    found = told(routed(view, form_class=form_class))
                    self.assertEqual([*found], ["async_cbv.E012"])
                    error = found["async_cbv.E012"]
                    self.assertTrue(error.is_serious())
                    self.assertIn(
                        f"{method} is skipped, so data that it rejects is saved. "
                        "Subject calls Django's is_valid()",
                        error.msg,
                    )
                    self.assertIn(f"({__file__}:", error.msg)
                    self.assertEqual(
                        error.hint, f"Derive Subject from Async{view.__name__}."
                    )

    def test_what_as_view_is_given(self):
        view = FormView.as_view(form_class=Validating, success_url="/")
        error = told(path("", view))["async_cbv.E012"]
        self.assertIn("Validating.aclean() is skipped", error.msg)
        self.assertEqual(error.hint, "Use AsyncFormView instead.")
        # In the place of the class's own, which is no more used.
        cls = type("Subject", (FormView,), {"form_class": Validating})
        view = cls.as_view(form_class=Plain, success_url="/")
        self.assertEqual(told(path("", view)), {})

    def test_login(self):
        derived = type("Subject", (LoginView,), {"form_class": ValidatingLogin})
        for view, hint in (
            (
                LoginView.as_view(authentication_form=ValidatingLogin),
                "Use AsyncLoginView instead.",
            ),
            (derived.as_view(), "Derive Subject from AsyncLoginView."),
        ):
            error = told(path("", view))["async_cbv.E012"]
            self.assertIn("ValidatingLogin.aclean() is skipped", error.msg)
            self.assertEqual(error.hint, hint)

    def test_once_for_a_class_of_two_urls(self):
        view = FormView.as_view(form_class=Validating, success_url="/")
        again = FormView.as_view(form_class=Validating, success_url="/b/")
        with override_settings(ROOT_URLCONF=URLs(path("a/", view), path("b/", again))):
            self.assertEqual(len(check_views()), 1)

    def test_others(self):
        for patterns in (
            # Awaited by ours, whatever form.
            [routed(AsyncFormView, form_class=one) for one, _ in self.FORMS],
            [routed(AsyncCreateView, form_class=one) for one, _ in self.FORMS],
            # There is nothing to await.
            [routed(view, form_class=Plain) for view in (FormView, UpdateView)],
            [routed(CreateView, model=Book, fields=["title"]), routed(FormView)],
            [path("", LoginView.as_view())],
            # It may do so by itself.
            [routed(OwnPost), path("", function)],
            # Shows no form.
            [routed_page(form_class=Validating)],
        ):
            self.assertEqual(told(*patterns), {})


def routed_page(**options):
    return path("", type("Subject", (TemplateView,), options).as_view())


class TestUnvalidatedByAdmin(TestCase):
    def told(self, *inlines, **options):
        """What the check says of an admin of books, and of its inlines."""
        options["inlines"] = inlines
        cls = type("Subject", (admin.ModelAdmin,), options)
        registered = {Book: cls(Book, admin.site)}
        with mock.patch.object(admin.site, "_registry", registered):
            return told()

    def assertSkipped(self, found, method, user):
        self.assertEqual([*found], ["async_cbv.W005"])
        warning = found["async_cbv.W005"]
        self.assertFalse(warning.is_serious())
        self.assertIn(f"{method}() is skipped", warning.msg)
        self.assertIn(f"{user} calls Django's is_valid()", warning.msg)
        self.assertIn(f"({__file__}:", warning.msg)
        name = method.partition(".a")[2]
        self.assertEqual(warning.hint, f"Validate in a sync `def {name}()` as well.")

    def test_form(self):
        self.assertSkipped(self.told(form=Validating), "Validating.aclean", "Subject")
        for form in (ValidatingField, Derived):
            found = self.told(form=form)
            self.assertSkipped(found, "ValidatingField.aclean_title", "Subject")

    def test_a_form_without_fields(self):
        """The admin makes them from the model."""

        class Bare(forms.ModelForm):
            async def aclean_isbn(self):
                pass

        self.assertSkipped(self.told(form=Bare), "Bare.aclean_isbn", "Subject")

    def test_inlines(self):
        class LineForm(forms.ModelForm):
            async def aclean_reader(self):
                pass

        class LineFormSet(forms.BaseInlineFormSet):
            async def aclean(self):
                pass

        class Lines(admin.TabularInline):
            model = Loan
            form = LineForm

        class Sets(admin.StackedInline):
            model = Loan
            formset = LineFormSet

        self.assertSkipped(self.told(Lines), "LineForm.aclean_reader", "Lines")
        self.assertSkipped(self.told(Sets), "LineFormSet.aclean", "Sets")

    def test_each_site(self):
        site = admin.AdminSite(name="other")
        site.register(Book, type("Subject", (admin.ModelAdmin,), {"form": Validating}))
        self.assertSkipped(told(), "Validating.aclean", "Subject")
        del site
        gc.collect()
        self.assertEqual(told(), {})

    def test_others(self):
        class Lines(admin.TabularInline):
            model = Loan

        self.assertEqual(self.told(), {})
        self.assertEqual(self.told(Lines, form=Plain), {})

    def test_without_the_admin(self):
        rest = [app for app in settings.INSTALLED_APPS if "admin" not in app]
        with self.settings(INSTALLED_APPS=rest):
            self.assertEqual(self.told(form=Validating), {})


class TestAtomicRequests(TestCase):
    def setUp(self):
        connections["default"].settings_dict["ATOMIC_REQUESTS"] = True
        self.addCleanup(
            connections["default"].settings_dict.update, ATOMIC_REQUESTS=False
        )

    def test_async_views_of_djangos(self):
        for view, name in ((function, "function"), (AsyncPage.as_view(), "AsyncPage")):
            found = told(path("", view))["async_cbv.E009"]
            self.assertIn(
                f"{name} is async, and ATOMIC_REQUESTS is on for default", found.msg
            )

    def test_others(self):
        found = told(
            path("1/", SyncPage.as_view()),
            path("2/", Ours.as_view()),
            path("3/", transaction.non_atomic_requests(AsyncPage.as_view())),
        )
        self.assertEqual(found, {})


@sync_only_middleware
def sync_one(get_response):
    return get_response


@sync_and_async_middleware
def both(get_response):
    return get_response


class Old:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)


class TestMiddleware(TestCase):
    def test_sync_only(self):
        for name, expected in (("sync_one", True), ("Old", True), ("both", False)):
            with self.settings(MIDDLEWARE=[f"{__name__}.{name}"]):
                found = told(path("", Ours.as_view()))
                self.assertEqual("async_cbv.W004" in found, expected)
                if expected:
                    self.assertIn(name, found["async_cbv.W004"].msg)
                # Nobody who has no async views minds.
                self.assertEqual(told(path("", SyncPage.as_view())), {})


class TestImportedViews(TestCase):
    def test_views_that_no_url_leads_to(self):
        with override_settings(ROOT_URLCONF=URLs(path("", OpenToSync.as_view()))):
            found = {message.obj: message for message in check_imported_views()}
        self.assertNotIn(OpenToSync, found)
        for cls, check_id in ((OpenByTest, "E007"), (Fails, "E008"), (Unasked, "E010")):
            self.assertEqual(found[cls].id, f"async_cbv.{check_id}")
            self.assertIn(f"leads to {cls.__name__}", found[cls].msg)
        for cls in (SyncTest, SyncPage, Ours, OursWithDjangos, TemplateView):
            self.assertNotIn(cls, found)


class NotFoundSync(AsyncTemplateView):
    template_name = "page.html"

    async def aget_context_data(self, **kwargs):
        return await super().aget_context_data(**kwargs)


class NotFoundAsync(NotFoundSync):
    async def get(self, request, *args, **kwargs):
        return await super().get(request, *args, **kwargs)


async def failed(request, exception=None, reason=""):
    raise AssertionError("never called")


class TestCalledBySyncCode(SimpleTestCase):
    """Django's error handlers, which it does not await."""

    def problems(self, **handlers):
        urlconf = types.ModuleType("urls")
        urlconf.urlpatterns = []
        vars(urlconf).update(handlers)
        with override_settings(ROOT_URLCONF=urlconf):
            return [problem.message for problem in called_by_sync_code()]

    def test_async_handlers_are_found(self):
        for name in ("handler400", "handler403", "handler404", "handler500"):
            for view in (NotFoundAsync.as_view(), failed):
                (message,) = self.problems(**{name: view})
                self.assertIn(f"{name} is async", message)

    @override_settings(CSRF_FAILURE_VIEW=f"{__name__}.failed")
    def test_so_is_the_view_of_csrf_failures(self):
        (message,) = self.problems()
        self.assertIn("CSRF_FAILURE_VIEW is async: failed", message)

    def test_async_hooks_are_right(self):
        self.assertEqual(self.problems(handler404=NotFoundSync.as_view()), [])

    def test_what_can_not_be_imported_is_djangos_to_report(self):
        for view in ("nowhere.view", f"{__name__}.nothing", "view", 1):
            with (
                self.subTest(view=view),
                override_settings(CSRF_FAILURE_VIEW=view),
            ):
                names = ("handler400", "handler403", "handler404", "handler500")
                self.assertEqual(self.problems(**dict.fromkeys(names, view)), [])


class TestWrongPatterns(SimpleTestCase):
    def test_what_is_no_pattern_is_djangos_to_report(self):
        for wrong in (1, None, "books/", ("books/", function)):
            inner = types.ModuleType("inner")
            inner.urlpatterns = [wrong]
            for patterns in ([wrong], [path("a/", include(inner))]):
                with self.subTest(patterns=patterns):
                    self.assertEqual(told(*patterns, path("", function)), {})
                    with override_settings(ROOT_URLCONF=URLs(*patterns)):
                        [found] = check_url_config(None)
                    self.assertEqual(found.id, "urls.E004")
