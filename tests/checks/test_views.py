"""What the checks say of views that are Django's own, and that they do not cry wolf."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django import forms
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.mixins import (
    LoginRequiredMixin,
    PermissionRequiredMixin,
    UserPassesTestMixin,
)
from django.contrib.auth.views import LoginView
from django.http import HttpResponse
from django.test import AsyncClient, TestCase, override_settings
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
from django_async_cbv.checks import check_views
from django_async_cbv.checks.views import unguarded
from django_async_cbv.forms import ais_valid
from django_async_cbv.views import (
    AsyncCreateView,
    AsyncFormView,
    AsyncView,
)
from tests.app.models import Book

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
