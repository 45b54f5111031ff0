"""django-extra-views: formsets, and lists that are searched and sorted."""

import datetime
import warnings
from typing import Any

import extra_views
from django import forms

from tests.ecosystem.models import Author, Book
from tests.ecosystem.trying import Case, Site, tried


class NameForm(forms.Form):
    name = forms.CharField(max_length=6)


def rows(prefix: str, initial: int, *forms_: dict[str, Any]) -> dict[str, Any]:
    """What a browser sends of a formset."""
    sent = {
        f"{prefix}-{number}-{name}": value
        for number, form in enumerate(forms_)
        for name, value in form.items()
    }
    return {
        **sent,
        f"{prefix}-TOTAL_FORMS": len(forms_),
        f"{prefix}-INITIAL_FORMS": initial,
    }


PAGE = {"template_name": "ecosystem/page.html", "success_url": "/shelf/"}


class Extra(Case):
    package = "django-extra-views"


@tried
class FormSet(Extra):
    what = "`FormSetView`, as `class Names(FormSetView, AsyncView)`"
    hook = "post"

    def view(self, views: Any) -> Any:
        def formset_valid(view: Any, formset: Any) -> Any:
            for form in formset:
                name = form.cleaned_data["name"]
                Author.objects.create(name=name, slug=name.lower())
            return super(cls, view).formset_valid(formset)

        attributes = {
            **PAGE,
            "form_class": NameForm,
            "factory_kwargs": {"extra": 2},
            "formset_valid": formset_valid,
        }
        cls = type("Page", (extra_views.FormSetView, views.View), attributes)
        return cls

    def visits(self, site: Site) -> None:
        client = site.client()
        assert b'name="form-1-name"' in client.get("/").content
        invalid = rows("form", 0, {"name": "Mary"}, {"name": "Percy Bysshe"})
        assert b"has at most 6 characters" in client.post("/", invalid).content
        assert Author.objects.count() == 2
        valid = rows("form", 0, {"name": "Mary"}, {"name": "Percy"})
        assert client.post("/", valid).url == "/shelf/"
        assert Author.objects.count() == 4


@tried
class ModelFormSet(Extra):
    what = "`ModelFormSetView`, as `class Authors(ModelFormSetView, AsyncView)`"
    hook = "post"

    def view(self, views: Any) -> Any:
        attributes = {
            **PAGE,
            "model": Author,
            "fields": ["name"],
            "factory_kwargs": {"extra": 0},
        }
        bases = (extra_views.ModelFormSetView, views.View)
        return type("Page", bases, attributes)

    def visits(self, site: Site) -> None:
        client = site.client()
        assert b'value="Bram"' in client.get("/").content
        bram, jane = Author.objects.all()
        sent = rows(
            "form", 2, {"id": bram.pk, "name": "Bram S."}, {"id": jane.pk, "name": ""}
        )
        assert b"This field is required." in client.post("/", sent).content
        sent["form-1-name"] = "Jane A."
        assert client.post("/", sent).url == "/shelf/"
        assert [str(author) for author in Author.objects.all()] == [
            "Bram S.",
            "Jane A.",
        ]


def book(**fields: Any) -> dict[str, Any]:
    return {
        "title": "Sanditon",
        "slug": "sanditon",
        "published": "1817-01-01",
        **fields,
    }


@tried
class InlineFormSet(Extra):
    what = "`InlineFormSetView`, as `class Books(InlineFormSetView, AsyncView)`"
    hook = "post"

    def view(self, views: Any) -> Any:
        attributes = {
            **PAGE,
            "model": Author,
            "inline_model": Book,
            "fields": ["title", "slug", "published"],
            "factory_kwargs": {"extra": 1},
        }
        bases = (extra_views.InlineFormSetView, views.View)
        return type("Page", bases, attributes)

    def visits(self, site: Site) -> None:
        client = site.client()
        assert b'value="Emma"' in client.get("/jane/").content
        sent = rows("books", 0, book())
        assert client.post("/jane/", sent).url == "/shelf/"
        assert site.author.books.count() == 3
        invalid = rows("books", 0, book(published="never"))
        assert b"Enter a valid date." in client.post("/jane/", invalid).content


class BookInline(extra_views.InlineFormSetFactory):
    model = Book
    fields = ["title", "slug", "published"]
    factory_kwargs = {"extra": 1}


INLINES = {**PAGE, "model": Author, "fields": ["name", "slug"], "inlines": [BookInline]}


@tried
class CreateWithInlines(Extra):
    what = (
        "`CreateWithInlinesView`, as `class New(CreateWithInlinesView, AsyncFormView)`"
    )

    def view(self, views: Any) -> Any:
        bases = (extra_views.CreateWithInlinesView, views.FormView)
        return type("Page", bases, INLINES)

    def visits(self, site: Site) -> None:
        client = site.client()
        assert b'name="books-0-title"' in client.get("/").content
        author = {"name": "Jane II", "slug": "jane-2"}
        invalid = {**author, **rows("books", 0, book(published="never"))}
        assert b"Enter a valid date." in client.post("/", invalid).content
        assert not Author.objects.filter(slug="jane-2").exists()
        sent = {**author, **rows("books", 0, book())}
        assert client.post("/", sent).url == "/shelf/"
        assert Book.objects.get(slug="sanditon").author.name == "Jane II"


@tried
class UpdateWithInlines(Extra):
    what = (
        "`UpdateWithInlinesView`, as `class Edit(UpdateWithInlinesView, AsyncFormView)`"
    )
    hook = "aform_valid"

    def view(self, views: Any) -> Any:
        bases = (extra_views.UpdateWithInlinesView, views.FormView)
        return type("Page", bases, INLINES)

    def visits(self, site: Site) -> None:
        client = site.client()
        assert b'value="Emma"' in client.get("/jane/").content
        author = {"name": "Jane A.", "slug": "jane"}
        sent = {**author, **rows("books", 0, book())}
        assert client.post("/jane/", sent).url == "/shelf/"
        site.author.refresh_from_db()
        assert site.author.name == "Jane A."
        assert site.author.books.count() == 3


@tried
class NamedFormsets(Extra):
    what = "`NamedFormsetsMixin`"

    def view(self, views: Any) -> Any:
        bases = (
            extra_views.NamedFormsetsMixin,
            extra_views.UpdateWithInlinesView,
            views.FormView,
        )
        return type("Page", bases, {**INLINES, "inlines_names": ["books"]})

    def visits(self, site: Site) -> None:
        context = site.client().get("/jane/").context
        assert [one.instance.title for one in context["books"]][:2] == [
            "Emma",
            "Persuasion",
        ]


@tried
class SuccessMessage(Extra):
    what = "`SuccessMessageMixin`"
    hook = "aform_valid"

    def view(self, views: Any) -> Any:
        bases = (
            extra_views.SuccessMessageMixin,
            extra_views.CreateWithInlinesView,
            views.FormView,
        )
        return type("Page", bases, {**INLINES, "success_message": "%(name)s is here."})

    def visits(self, site: Site) -> None:
        client = site.client()
        author = {"name": "Mary", "slug": "mary"}
        assert client.post("/", {**author, **rows("books", 0)}).url == "/shelf/"
        assert b"<b>Mary is here.</b>" in client.get("/").content


@tried
class FormSetSuccessMessage(FormSet):
    what = "`FormSetSuccessMessageMixin`"

    def view(self, views: Any) -> Any:
        bases = (extra_views.FormSetSuccessMessageMixin, super().view(views))
        return type("Page", bases, {"success_message": "They are here."})

    def visits(self, site: Site) -> None:
        client = site.client()
        assert client.post("/", rows("form", 0, {"name": "Mary"})).url == "/shelf/"
        assert b"<b>They are here.</b>" in client.get("/").content


@tried
class SearchableList(Extra):
    what = "`SearchableListMixin`"

    def view(self, views: Any) -> Any:
        attributes = {**self.attributes, "search_fields": ["title", "author__name"]}
        bases = (extra_views.SearchableListMixin, views.ListView)
        return type("Page", bases, attributes)

    def visits(self, site: Site) -> None:
        client = site.client()
        assert client.get("/?q=jane").content.count(b"<p>") == 2
        assert client.get("/?q=jane+emma").content.count(b"<p>") == 1
        assert client.get("/").content.count(b"<p>") == 3


@tried
class SortableList(Extra):
    what = "`SortableListMixin`"

    def view(self, views: Any) -> Any:
        attributes = {
            **self.attributes,
            "sort_fields": ["title", "published"],
            "sort_type_param_name": "direction",
        }
        bases = (extra_views.SortableListMixin, views.ListView)
        return type("Page", bases, attributes)

    def visits(self, site: Site) -> None:
        response = site.client().get("/?o=published&direction=desc")
        titles = [book.title for book in response.context["object_list"]]
        assert titles == ["Dracula", "Persuasion", "Emma"]
        assert response.context["sort_helper"].is_sorted_by_published() == "desc"


@tried
class CalendarMonth(Extra):
    what = "`CalendarMonthView`, as `class Month(CalendarMonthView, AsyncListView)`"

    def view(self, views: Any) -> Any:
        attributes = {
            **self.attributes,
            "template_name": "ecosystem/page.html",
            "date_field": "published",
            "month_format": "%b",
        }
        bases = (extra_views.CalendarMonthView, views.ListView)
        return type("Page", bases, attributes)

    def visits(self, site: Site) -> None:
        with warnings.catch_warnings():
            # The package still calls utcnow().
            warnings.simplefilter("ignore", DeprecationWarning)
            context = site.client().get("/month/1815/may/").context_data
        days = [day for week in context["calendar"] for day in week["date_list"]]
        (first,) = [day for day in days if day["events"]]
        assert first["day"] == datetime.date(1815, 5, 1)
        assert [book.title for book in first["events"]] == ["Emma"]
