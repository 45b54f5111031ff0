"""What `manage.py check` says of what leads to views: URLs, the admin, middleware."""

from __future__ import annotations

import gc
import types
from pathlib import Path
from unittest import mock

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.checks.urls import check_url_config
from django.db import connections, transaction
from django.test import SimpleTestCase, TestCase, override_settings
from django.urls import include, path
from django.views.generic import (
    TemplateView,
)

from django_async_cbv.checks import check_imported_views
from django_async_cbv.checks.urlconf import called_by_sync_code
from django_async_cbv.views import (
    AsyncTemplateView,
)
from tests.app.models import Book, Loan
from tests.checks import test_views
from tests.checks.test_views import (
    AsyncPage,
    Derived,
    Fails,
    OpenByTest,
    OpenToSync,
    Ours,
    OursWithDjangos,
    Plain,
    SyncPage,
    SyncTest,
    Unasked,
    URLs,
    Validating,
    ValidatingField,
    function,
    told,
)


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
        self.assertIn(f"({Path(__file__).parent}/", warning.msg)
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


class TestMiddleware(TestCase):
    def test_sync_only(self):
        for name, expected in (("sync_one", True), ("Old", True), ("both", False)):
            with self.settings(MIDDLEWARE=[f"{test_views.__name__}.{name}"]):
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
