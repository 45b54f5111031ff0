"""Every generic view, as a class that can answer, and the requests to try each with."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync
from django import forms
from django.http import HttpResponseBase
from django.test import RequestFactory
from django.views import generic

from django_async_cbv import views
from django_async_cbv.core.hooks import HOOKS
from django_async_cbv.views import _formsets
from tests.models import Author, Book


@dataclass(frozen=True)
class Visit:
    """One request to a view."""

    method: str = "GET"
    data: dict[str, Any] | None = None
    kwargs: dict[str, Any] | None = None

    def request(self):
        factory = RequestFactory()
        if self.method == "PUT":
            # As a form, which is what Django's put() reads.
            request = factory.post("/", self.data)
            request.method = "PUT"
            return request
        return getattr(factory, self.method.lower())("/", self.data or {})


@dataclass(frozen=True)
class Entry:
    """A generic view, Django's and ours, with what it needs to answer the visits."""

    name: str
    attributes: dict[str, Any]
    visits: tuple[Visit, ...]

    @property
    def django(self) -> type:
        # Formset views are no views of Django's: ours are twins of their own.
        module = _formsets if hasattr(_formsets, self.name) else generic
        return getattr(module, self.name)

    @property
    def ours(self) -> type:
        return getattr(views, f"Async{self.name}")

    def hooks(self) -> list[str]:
        """The names of the hooks that the view has, without its handlers."""
        return [name for name in HOOKS if hasattr(self.django, name)]

    def handlers(self) -> list[str]:
        return [
            name for name in self.django.http_method_names if hasattr(self.django, name)
        ]


class NameForm(forms.Form):
    name = forms.CharField(max_length=20)


class BookInline(views.AsyncInlineFormSetFactory):
    model = Book
    fields = ("title", "slug", "published")
    factory_kwargs = {"extra": 1}


def posted(prefix: str, *forms: dict[str, str], initial: int = 0) -> dict[str, str]:
    """What a browser posts of a formset: the first `initial` are of what is there."""
    data = {f"{prefix}-TOTAL_FORMS": len(forms), f"{prefix}-INITIAL_FORMS": initial}
    for place, form in enumerate(forms):
        data |= {f"{prefix}-{place}-{name}": value for name, value in form.items()}
    return data


_DAY = {"year": "2008", "month": "oct", "day": "1"}
_DATED = {"model": Book, "date_field": "published", "allow_future": True}
_FORM = {"model": Author, "fields": ["name", "slug"], "template_name": "page.html"}
_GOOD = {"name": "Jane", "slug": "jane"}
_BAD = {"name": "Jane", "slug": "not a slug"}
_EMMA = {"title": "Emma", "slug": "emma", "published": "2009-05-01"}
_INLINES = {**_FORM, "inlines": (BookInline,), "success_url": "/done/"}
_GOOD_INLINES = {**_GOOD, **posted("book_set", _EMMA)}
_BAD_INLINES = {**_GOOD, **posted("book_set", {"title": "Emma"})}
_FORMSET = {"template_name": "page.html", "success_url": "/done/"}

CATALOGUE = [
    Entry("TemplateView", {"template_name": "page.html"}, (Visit(), Visit("HEAD"))),
    Entry(
        "RedirectView",
        {"url": "/to/%(pk)s/"},
        (Visit(kwargs={"pk": 1}), Visit("POST", kwargs={"pk": 1})),
    ),
    Entry(
        "DetailView",
        {"model": Author},
        (Visit(kwargs={"slug": "ann"}), Visit(kwargs={"slug": "nobody"})),
    ),
    Entry(
        "ListView",
        {"model": Author, "paginate_by": 1, "ordering": "name", "allow_empty": False},
        (Visit(), Visit(data={"page": "2"}), Visit(data={"page": "9"})),
    ),
    Entry(
        "FormView",
        {
            "form_class": NameForm,
            "template_name": "page.html",
            "success_url": "/done/",
        },
        (Visit(), Visit("POST", {"name": "Jane"}), Visit("POST", {}), Visit("PUT", {})),
    ),
    Entry("CreateView", _FORM, (Visit(), Visit("POST", _GOOD), Visit("POST", _BAD))),
    Entry(
        "UpdateView",
        _FORM,
        tuple(
            Visit(method, data, {"slug": "ann"})
            for method, data in [("GET", None), ("POST", _GOOD), ("PUT", _BAD)]
        ),
    ),
    Entry(
        "DeleteView",
        {"model": Author, "success_url": "/gone/", "template_name": "page.html"},
        tuple(
            Visit(method, {}, {"slug": "ann"}) for method in ("GET", "POST", "DELETE")
        ),
    ),
    Entry(
        "FormSetView",
        {**_FORMSET, "form_class": NameForm},
        (
            Visit(),
            Visit("POST", posted("form", {"name": "Jane"}, {"name": "Joe"})),
            Visit("PUT", posted("form", {"name": "too long " * 9})),
        ),
    ),
    Entry(
        "ModelFormSetView",
        {**_FORMSET, "model": Author, "fields": ["name", "slug"]},
        (
            Visit(),
            Visit("POST", posted("form", _GOOD)),
            Visit("PUT", posted("form", _BAD)),
        ),
    ),
    Entry(
        "InlineFormSetView",
        {
            **_FORMSET,
            "model": Author,
            "inline_model": Book,
            "fields": ["title", "slug", "published"],
        },
        tuple(
            Visit(method, data, {"slug": "ann"})
            for method, data in [
                ("GET", None),
                ("POST", posted("book_set", _EMMA)),
                ("PUT", posted("book_set", {"title": "Emma"})),
            ]
        ),
    ),
    Entry(
        "CreateWithInlinesView",
        _INLINES,
        (Visit(), Visit("POST", _GOOD_INLINES), Visit("PUT", _BAD_INLINES)),
    ),
    Entry(
        "UpdateWithInlinesView",
        _INLINES,
        tuple(
            Visit(method, data, {"slug": "ann"})
            for method, data in [
                ("GET", None),
                ("POST", _GOOD_INLINES),
                ("PUT", _BAD_INLINES),
            ]
        ),
    ),
    Entry("ArchiveIndexView", _DATED, (Visit(),)),
    Entry(
        "YearArchiveView",
        {**_DATED, "make_object_list": True},
        (Visit(kwargs={"year": "2008"}), Visit(kwargs={"year": "1700"})),
    ),
    Entry(
        "MonthArchiveView", _DATED, (Visit(kwargs={"year": "2008", "month": "oct"}),)
    ),
    Entry("WeekArchiveView", _DATED, (Visit(kwargs={"year": "2008", "week": "39"}),)),
    Entry("DayArchiveView", _DATED, (Visit(kwargs=_DAY),)),
    Entry("TodayArchiveView", {**_DATED, "allow_empty": True}, (Visit(),)),
    Entry("DateDetailView", _DATED, (Visit(kwargs={**_DAY, "slug": "dracula"}),)),
]


def make_rows() -> None:
    """The rows that the visits find."""
    ann = Author.objects.create(name="Ann", slug="ann")
    Author.objects.create(name="Bob", slug="bob")
    for title, day in [
        ("Alice", datetime.date(2008, 9, 30)),
        ("Dracula", datetime.date(2008, 10, 1)),
        ("Emma", datetime.date(2009, 5, 1)),
    ]:
        Book.objects.create(title=title, slug=title.lower(), published=day, author=ann)


def answer(
    cls: type, visit: Visit, *, by_hand: bool = False, **initkwargs: Any
) -> dict[str, Any]:
    """
    What a view answers to a visit, as far as two views can be compared by it.

    `by_hand`: sync code calls the view, as a test with RequestFactory does.
    """
    view: Callable[..., Any] = cls.as_view(**initkwargs)
    if issubclass(cls, views.AsyncView) and not by_hand:
        view = async_to_sync(view)
    try:
        response: HttpResponseBase = view(visit.request(), **(visit.kwargs or {}))
    except Exception as error:
        return {"raised": type(error).__name__, "message": str(error)}
    if hasattr(response, "render"):
        response.render()
    context = getattr(response, "context_data", None) or {}
    return {
        "status": response.status_code,
        "headers": dict(response.items()),
        "content": response.content,
        "templates": getattr(response, "template_name", None),
        "context": sorted(context),
        "objects": str(context.get("object_list", context.get("object"))),
    }
