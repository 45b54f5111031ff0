"""What is converted, how, and what is left for which reason."""

from __future__ import annotations

import pytest

from django_async_cbv.convert.report import REASONS, message
from tests.convert.converting import Project, codes, dedented

# Before and after, by what it is about.
CONVERTED = {
    "a base": (
        """
        from django.views.generic import ListView

        class Books(ListView):
            pass
        """,
        """
        from django_async_cbv.views import AsyncListView

        class Books(AsyncListView):
            pass
        """,
    ),
    "View, from each of its modules": (
        """
        from django.views import View
        from django.views.generic.base import View as Base

        class One(View): ...
        class Two(Base): ...
        """,
        """
        from django_async_cbv.views import AsyncView
        from django_async_cbv.views import AsyncView

        class One(AsyncView): ...
        class Two(AsyncView): ...
        """,
    ),
    "a module of Django that has imported it": (
        """
        from django.contrib.auth.views import TemplateView

        class Page(TemplateView): ...
        """,
        """
        from django_async_cbv.views import AsyncTemplateView

        class Page(AsyncTemplateView): ...
        """,
    ),
    "a module": (
        """
        from django.views import generic

        class Books(generic.ListView): ...
        class Book(generic.DetailView): ...
        """,
        """
        from django_async_cbv.views import AsyncDetailView, AsyncListView

        class Books(AsyncListView): ...
        class Book(AsyncDetailView): ...
        """,
    ),
    "a dotted import": (
        """
        import django.conf
        import django.views.generic.edit

        class Edit(django.views.generic.edit.FormView):
            debug = django.conf.settings.DEBUG
        """,
        """
        import django.conf
        from django_async_cbv.views import AsyncFormView
        import django.views.generic.edit

        class Edit(AsyncFormView):
            debug = django.conf.settings.DEBUG
        """,
    ),
    "a subscript": (
        """
        from django.views.generic import UpdateView
        from .models import Book

        class Edit(UpdateView[Book, "Form"]): ...
        """,
        """
        from django_async_cbv.views import AsyncUpdateView
        from .models import Book

        class Edit(AsyncUpdateView[Book, "Form"]): ...
        """,
    ),
    "access, messages and a view": (
        """
        from django.contrib.auth.mixins import LoginRequiredMixin
        from django.contrib.messages.views import SuccessMessageMixin
        from django.views.generic import CreateView

        class Add(LoginRequiredMixin, SuccessMessageMixin, CreateView):
            pass
        """,
        """
        from django_async_cbv.auth.mixins import AsyncLoginRequiredMixin
        from django_async_cbv.messages import AsyncSuccessMessageMixin
        from django_async_cbv.views import AsyncCreateView

        class Add(AsyncLoginRequiredMixin, AsyncSuccessMessageMixin, AsyncCreateView):
            pass
        """,
    ),
    "a URLconf": (
        """
        from django.contrib.auth import views as auth_views
        from django.urls import include, path
        from django.views.decorators.csrf import csrf_exempt
        from django.views.generic import TemplateView

        urlpatterns = [
            path("", TemplateView.as_view(template_name="home.html")),
            path("form", csrf_exempt(TemplateView.as_view())),
            path("login", auth_views.LoginView.as_view()),
            path("accounts/", include("django.contrib.auth.urls")),
            path("two/", include((r"django.contrib.auth.urls", "auth"))),
        ]
        """,
        """
        from django_async_cbv.auth.views import AsyncLoginView
        from django.urls import include, path
        from django.views.decorators.csrf import csrf_exempt
        from django_async_cbv.views import AsyncTemplateView

        urlpatterns = [
            path("", AsyncTemplateView.as_view(template_name="home.html")),
            path("form", csrf_exempt(AsyncTemplateView.as_view())),
            path("login", AsyncLoginView.as_view()),
            path("accounts/", include("django_async_cbv.auth.urls")),
            path("two/", include((r"django_async_cbv.auth.urls", "auth"))),
        ]
        """,
    ),
    "the same name above and below": (
        """
        from django.views.generic import UpdateView
        from .mixins import Mixin

        class UpdateView(Mixin, UpdateView):
            def form_valid(self, form):
                return super(UpdateView, self).form_valid(form)
        """,
        """
        from django_async_cbv.views import AsyncUpdateView
        from django.views.generic import UpdateView
        from .mixins import Mixin

        class UpdateView(Mixin, AsyncUpdateView):
            def form_valid(self, form):
                return super(UpdateView, self).form_valid(form)
        """,
    ),
    "super() that skips a level, isinstance() and a direct call": (
        """
        from django.views.generic.edit import ModelFormMixin, UpdateView

        class Edit(UpdateView):
            def form_valid(self, form):
                assert isinstance(self, UpdateView)
                UpdateView.get_form(self)
                return super(ModelFormMixin, self).form_valid(form)
        """,
        """
        from django_async_cbv.views import AsyncUpdateView
        from django.views.generic.edit import ModelFormMixin, UpdateView

        class Edit(AsyncUpdateView):
            def form_valid(self, form):
                assert isinstance(self, UpdateView)
                UpdateView.get_form(self)
                return super(ModelFormMixin, self).form_valid(form)
        """,
    ),
    "in a function": (
        """
        from django.apps import AppConfig

        class Shop(AppConfig):
            def get_urls(self):
                from django.views.generic import RedirectView
                return [RedirectView.as_view(url="/")]
        """,
        """
        from django.apps import AppConfig

        class Shop(AppConfig):
            def get_urls(self):
                from django_async_cbv.views import AsyncRedirectView
                return [AsyncRedirectView.as_view(url="/")]
        """,
    ),
    "either way of an import": (
        """
        try:
            from django.views.generic import View
        except ImportError:
            from django.views import View

        class Page(View): ...
        """,
        """
        try:
            from django_async_cbv.views import AsyncView
        except ImportError:
            from django_async_cbv.views import AsyncView

        class Page(AsyncView): ...
        """,
    ),
    "what others need stays": (
        """
        from django.views.generic import DetailView, ListView, View

        __all__ = ["View"]

        class Books(ListView): ...
        class Book(DetailView): ...
        class Page(View): ...

        def page(view: "DetailView"): ...
        """,
        """
        from django_async_cbv.views import AsyncDetailView, AsyncListView, AsyncView
        from django.views.generic import DetailView, View

        __all__ = ["View"]

        class Books(AsyncListView): ...
        class Book(AsyncDetailView): ...
        class Page(AsyncView): ...

        def page(view: "DetailView"): ...
        """,
    ),
    "comments stay with their names": (
        """
        from django.views.generic import (  # noqa: I001
            DetailView,  # one book
            # All of them:
            ListView,
            View,  # for isinstance()
        )  # end

        class Books(ListView): ...
        class Book(DetailView): ...
        is_view = isinstance(Books(), View)
        """,
        """
        from django_async_cbv.views import (  # noqa: I001
            AsyncDetailView,  # one book
            # All of them:
            AsyncListView,
        )
        from django.views.generic import (  # noqa: I001
            View,  # for isinstance()
        )  # end

        class Books(AsyncListView): ...
        class Book(AsyncDetailView): ...
        is_view = isinstance(Books(), View)
        """,
    ),
    "two statements in a line": (
        """
        from django.views.generic import ListView, View; x = View

        class Books(ListView): ...
        """,
        """
        from django_async_cbv.views import AsyncListView; from django.views.generic import View; x = View

        class Books(AsyncListView): ...
        """,  # noqa: E501
    ),
    "our name is taken": (
        """
        from django.views.generic import ListView

        class AsyncListView(ListView): ...
        """,
        """
        from django_async_cbv.views import AsyncListView as BaseAsyncListView

        class AsyncListView(BaseAsyncListView): ...
        """,
    ),
    "ours is there": (
        """
        from django_async_cbv.views import AsyncListView
        from django.views.generic import ListView, View

        class Books(AsyncListView): ...
        class Others(ListView):
            view = View
            old = ListView
        """,
        """
        from django_async_cbv.views import AsyncListView
        from django.views.generic import ListView, View

        class Books(AsyncListView): ...
        class Others(AsyncListView):
            view = View
            old = ListView
        """,
    ),
    "a mixin of the project": (
        """
        from django.views.generic import ListView
        from django.views.generic.base import ContextMixin

        class Title(ContextMixin): ...
        class Books(Title, ListView): ...
        class Others(Books): ...
        """,
        """
        from django_async_cbv.views import AsyncListView
        from django_async_cbv.views import AsyncContextMixin

        class Title(AsyncContextMixin): ...
        class Books(Title, AsyncListView): ...
        class Others(Books): ...
        """,
    ),
    "a view of Django that awaits already": (
        """
        from django.views import View

        class Page(View):
            async def get(self, request):
                return await self.answer()

            async def answer(self): ...
        """,
        """
        from django_async_cbv.views import AsyncView

        class Page(AsyncView):
            async def get(self, request):
                return await self.answer()

            async def answer(self): ...
        """,
    ),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_converted(tmp_path, name):
    before, after = CONVERTED[name]
    project = Project(tmp_path, {"app/__init__.py": "", "app/views.py": before})
    project.put("app/mixins.py", "class Mixin: ...\n")
    project.put("app/models.py", "class Book: ...\n")

    result = project.convert()

    [change] = result.changes
    assert change.after.decode() == dedented(after)
    assert codes(result) == []
    change.source.path.write_bytes(change.after)
    assert project.convert().changes == []


# What is left as it is, and the reason.
LEFT = {
    "a base of a third party": (
        "third-party-base",
        """
        from extra import BaseView
        from django.contrib.auth.mixins import LoginRequiredMixin
        class V(LoginRequiredMixin, BaseView): ...
        """,
    ),
    "a base that is not installed": (
        "unseen-base",
        """
        from nowhere import ShopView
        from django.views.generic import ListView
        class V(ShopView, ListView): ...
        """,
    ),
    "a base made at run time": (
        "unknown-base",
        """
        from django.contrib.auth.mixins import LoginRequiredMixin
        from loader import get_class
        Base = get_class("Base")
        class V(LoginRequiredMixin, Base): ...
        """,
    ),
    "a parameter as a base": (
        "unknown-base",
        """
        from django.contrib.auth.mixins import LoginRequiredMixin
        def make(base):
            class V(LoginRequiredMixin, base): ...
            return V
        """,
    ),
    "an expression as a base": (
        "expression",
        """
        from django.views.generic import ListView, View
        class V(ListView if X else View): ...
        """,
    ),
    "a call as a base": (
        "expression",
        """
        from django.views.generic import View
        class V(mixed(View)): ...
        """,
    ),
    "bases out of a list": (
        "expression",
        """
        from django.views.generic import View
        class V(*[View]): ...
        """,
    ),
    "a name of two imports": (
        "ambiguous",
        """
        try:
            from django.contrib.auth.mixins import LoginRequiredMixin
        except ImportError:
            from nowhere import LoginRequiredMixin
        class V(LoginRequiredMixin): ...
        """,
    ),
    "a name that a function changes": (
        "ambiguous",
        """
        from django.views.generic import View
        def change():
            global View
            View = object
        class V(View): ...
        """,
    ),
    "a name that a branch changes": (
        "ambiguous",
        """
        from django.views.generic import View
        if X:
            View = object
        class V(View): ...
        """,
    ),
    "a name that a loop changes": (
        "ambiguous",
        """
        from django.views.generic import View
        for x in y:
            class V(View): ...
            View = V
        """,
    ),
    "a star import of Django's": (
        "star-import",
        """
        from django.views.generic import *
        class V(ListView): ...
        """,
    ),
    "as_view() of a star import": (
        "star-import",
        """
        from django.views.generic import *
        view = TemplateView.as_view()
        """,
    ),
    "an unknown star import": (
        "star-import",
        """
        from nowhere import *
        from django.contrib.auth.mixins import LoginRequiredMixin
        class V(LoginRequiredMixin, Base): ...
        """,
    ),
    "async under the name of a hook": (
        "E001",
        """
        from django.views.generic import ListView
        class V(ListView):
            async def get(self, request): return await self.get_queryset()
            async def get_queryset(self): ...
        """,
    ),
    "async setup()": (
        "E001",
        """
        from django.views import View
        class V(View):
            async def setup(self, request): ...
        """,
    ),
    "async under the name of a mixin's method": (
        "E001",
        """
        from django.views import View
        class Mixin:
            def load(self): ...
        class V(Mixin, View):
            async def load(self): ...
        """,
    ),
    "sync under the name of an async hook": (
        "E002",
        """
        from django.views.generic import DetailView
        class V(DetailView):
            def aget_object(self): ...
        """,
    ),
    "a method that would become a hook": (
        "taken",
        """
        from django.views.generic import DetailView
        class V(DetailView):
            async def aget_object(self): ...
        """,
    ),
    "sync_to_async() in a handler": (
        "sync-to-async",
        """
        from asgiref.sync import sync_to_async
        from django.views.generic import ListView
        class V(ListView):
            async def get(self, request):
                return await sync_to_async(super().get)(request)
        """,
    ),
    "a base that stays": (
        "base-stays",
        """
        from django.contrib.auth.mixins import LoginRequiredMixin
        from django.views.generic import View
        class Base(mixed(View)): ...
        class V(LoginRequiredMixin, Base): ...
        """,
    ),
    "a mixin that a view shares which stays": (
        "shared-mixin",
        """
        from django.views.generic.base import ContextMixin, TemplateView
        from nowhere import ShopView
        class Mixin(ContextMixin): ...
        class V(Mixin, ShopView, TemplateView): ...
        """,
    ),
    "an admin view": (
        "admin",
        """
        from django.views.generic import TemplateView
        class Admin:
            def get_urls(self):
                return [self.admin_site.admin_view(TemplateView.as_view())]
        """,
    ),
    "a class of an admin view": (
        "admin",
        """
        from django.views.generic import TemplateView
        class V(TemplateView): ...
        def urls(site):
            return [site.admin_view(V.as_view())]
        """,
    ),
    "a sync decorator of the project": (
        "sync-decorator",
        """
        from functools import wraps
        from django.views.generic import TemplateView
        def staff(view):
            @wraps(view)
            def inner(request):
                return view(request)
            return inner
        url = staff(TemplateView.as_view())
        """,
    ),
    "a sync decorator with arguments": (
        "sync-decorator",
        """
        from django.urls import path
        from django.views.generic import TemplateView
        from decorators import only
        urls = [path("", only("staff")(TemplateView.as_view()))]
        """,
    ),
    "sync code that calls the view": (
        "called",
        """
        from django.views.generic import TemplateView
        def page(request):
            return TemplateView.as_view()(request)
        """,
    ),
    "sync code that calls the view later": (
        "called",
        """
        from django.views.generic import TemplateView
        def page(request):
            view = TemplateView.as_view()
            return view(request)
        """,
    ),
    "generated code": (
        "generated",
        """
        # Generated by a tool. DO NOT EDIT.
        from django.views.generic import View
        class V(View): ...
        """,
    ),
    "type()": (
        "type-call",
        """
        from django.views.generic import View
        V = type("V", (View,), {})
        """,
    ),
    "a view of the admin": (
        "no-variant",
        """
        from django.contrib.admin.views.autocomplete import AutocompleteJsonView
        class V(AutocompleteJsonView): ...
        """,
    ),
    "a view of Django that has no variant": (
        "no-variant",
        """
        from django.contrib.auth.mixins import LoginRequiredMixin
        from django.views.i18n import JavaScriptCatalog
        class V(LoginRequiredMixin, JavaScriptCatalog): ...
        """,
    ),
    "what Python cannot parse": (
        "unparsable",
        """
        from django.views.generic import View
        class V(View: ...
        """,
    ),
    "an encoding that there is not": (
        "unreadable",
        """
        # coding: klingon
        from django.views.generic import View
        class V(View): ...
        """,
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_left(tmp_path, name, monkeypatch):
    code, text = LEFT[name]
    project = Project(tmp_path, {"views.py": text})
    # A package that is installed, beside what the project has.
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "pyvenv.cfg").touch()
    (packages / "extra.py").write_text(
        "from django.views.generic import View\nclass BaseView(View): ...\n"
    )
    monkeypatch.syspath_prepend(packages)
    project.put(
        "decorators.py",
        """
        def only(group):
            def decorator(view):
                def inner(request):
                    return view(request)
                return inner
            return decorator
        """,
    )

    result = project.convert()

    assert code in codes(result)
    # The other classes of the same file may be converted.
    for change in result.changes:
        assert name == "a mixin that a view shares which stays", change.diff
    for finding in result.findings:
        assert finding.line >= 1
        assert "{" not in message(finding)


def test_each_reason_is_tried():
    tried = {code for code, _ in LEFT.values()}
    elsewhere = {code for code in REASONS if code.startswith("extension")}
    elsewhere |= {"awaited-elsewhere", "family", "form-method", "link", "unchangeable"}
    assert tried | elsewhere == REASONS.keys()


def test_nothing_else_is_renamed(tmp_path):
    text = """
        from django.views.generic import ListView, View

        NAME = "ListView"
        is_list = isinstance(object(), ListView)
        queryset = ListView.get_queryset
        view_class = ListView
        as_view = ListView.as_view
    """
    assert Project(tmp_path, {"views.py": text}).converted() == {}


class TestOtherModules:
    """What other files of the project need is kept, and they are read for it."""

    VIEWS = """
        from django.views.generic import ListView

        class Books(ListView): ...
    """

    @pytest.mark.parametrize(
        "other",
        [
            "from .views import ListView",
            "from app.views import ListView as Other",
            "from .views import *",
            "from . import views\nprint(views.ListView)",
            "import app.views\nprint(app.views.ListView)",
        ],
    )
    def test_an_import_that_is_imported_again_stays(self, tmp_path, other):
        files = {"app/__init__.py": "", "app/views.py": self.VIEWS, "app/b.py": other}
        project = Project(tmp_path, files)

        # Though the other file is not one of those to convert.
        changed = project.converted("app/views.py")

        assert b"import AsyncListView\nfrom django.views" in changed["app/views.py"]

    def test_a_base_in_another_file(self, tmp_path):
        files = {
            "app/__init__.py": "",
            "app/base.py": "from nowhere import ShopView\n"
            "from django.views.generic import View\n"
            "class Base(ShopView, View): ...\n",
            "app/views.py": "from django.contrib.auth.mixins import "
            "LoginRequiredMixin\n"
            "from .base import Base\n"
            "class V(LoginRequiredMixin, Base): ...\n",
        }
        result = Project(tmp_path, files).convert()
        assert codes(result) == ["unseen-base", "base-stays"]
        assert result.changes == []

    def test_a_class_that_a_module_hands_on(self, tmp_path):
        files = {
            "compat.py": "from django.views.generic import View\n",
            "views.py": "from compat import View\n\nclass V(View): ...\n",
        }
        changed = Project(tmp_path, files).converted()
        assert changed == {
            "views.py": b"from django_async_cbv.views import AsyncView\n\n"
            b"class V(AsyncView): ...\n"
        }

    def test_a_mixin_of_an_installed_package(self, tmp_path, monkeypatch):
        packages = tmp_path / "packages"
        packages.mkdir()
        (packages / "pyvenv.cfg").touch()
        (packages / "extra.py").write_text(
            "from django.views.generic.base import ContextMixin\n"
            "class Extra(ContextMixin): ...\n"
        )
        monkeypatch.syspath_prepend(packages)
        text = """
            from extra import Extra
            from django.contrib.auth.mixins import LoginRequiredMixin
            class Mixin(Extra, LoginRequiredMixin): ...
        """
        project = Project(tmp_path, {"views.py": text})
        assert (
            b"class Mixin(Extra, AsyncLoginRequiredMixin)"
            in (project.converted()["views.py"])
        )


class TestOnly:
    TEXT = """
        from django.views.generic import ListView

        class Books(ListView): ...
        class Others(ListView): ...
    """

    @pytest.mark.parametrize("pattern", ["Books", "app.views.Books", "Bo*"])
    def test_a_class(self, tmp_path, pattern):
        project = Project(tmp_path, {"app/views.py": self.TEXT})
        [after] = project.converted(only=[pattern]).values()
        assert b"class Books(AsyncListView)" in after
        assert b"class Others(ListView)" in after

    def test_a_file(self, tmp_path):
        files = {"app/views.py": self.TEXT, "app/others.py": self.TEXT}
        project = Project(tmp_path, files)
        assert project.converted(only=["views.py"]).keys() == {"app/views.py"}
        assert project.converted(exclude=["others.py"]).keys() == {"app/views.py"}
