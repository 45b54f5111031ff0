"""django-tables2: tables that are sorted and paged by their query."""

import re
from typing import Any

import django_tables2
from django_filters.views import FilterView
from django_tables2.views import MultiTableMixin, SingleTableMixin, SingleTableView

from tests.ecosystem.cases.filters import BookFilter
from tests.ecosystem.models import Author, Book
from tests.ecosystem.trying import Case, Site, tried


class BookTable(django_tables2.Table):
    class Meta:
        model = Book
        fields = ["title", "author"]


class AuthorTable(django_tables2.Table):
    class Meta:
        model = Author
        fields = ["name"]


def cells(response: Any) -> list[str]:
    return re.findall(r"<td[^>]*>(.*?)</td>", response.content.decode())


class Tables(Case):
    package = "django-tables2"
    attributes = {
        "model": Book,
        "table_class": BookTable,
        "template_name": "ecosystem/table.html",
        "paginate_by": 2,
    }


@tried
class SingleTable(Tables):
    what = "`SingleTableMixin`"

    def view(self, views: Any) -> Any:
        return type("Page", (SingleTableMixin, views.ListView), self.attributes)

    def visits(self, site: Site) -> None:
        client = site.client()
        assert cells(client.get("/")) == ["Dracula", "Bram", "Emma", "Jane"]
        last_first = client.get("/?sort=-title")
        assert cells(last_first) == ["Persuasion", "Jane", "Emma", "Jane"]
        assert cells(client.get("/?page=2")) == ["Persuasion", "Jane"]


@tried
class TableView(SingleTable):
    what = "`SingleTableView`, as `class BookTable(SingleTableView, AsyncListView)`"

    def view(self, views: Any) -> Any:
        return type("Page", (SingleTableView, views.ListView), self.attributes)


@tried
class AsyncTableData(SingleTable):
    what = "`SingleTableMixin`, and an async `aget_queryset()`"
    hook = "aget_queryset"


@tried
class FilteredTable(Tables):
    what = "`SingleTableMixin` before django-filter's `FilterView`"

    def view(self, views: Any) -> Any:
        attributes = {**self.attributes, "filterset_class": BookFilter}
        bases = (SingleTableMixin, FilterView, views.ListView)
        return type("Page", bases, attributes)

    def visits(self, site: Site) -> None:
        page = site.client().get("/?author=jane&sort=-title")
        assert cells(page) == ["Persuasion", "Jane", "Emma", "Jane"]


@tried
class MultiTable(Tables):
    what = "`MultiTableMixin`"

    def view(self, views: Any) -> Any:
        attributes = {
            "template_name": "ecosystem/table.html",
            "tables": [BookTable, AuthorTable],
            "tables_data": [Book.objects.all(), Author.objects.all()],
        }
        return type("Page", (MultiTableMixin, views.TemplateView), attributes)

    def visits(self, site: Site) -> None:
        found = cells(site.client().get("/?table_1-sort=-name"))
        assert found[:2] == ["Dracula", "Bram"]
        assert found[6:] == ["Jane", "Bram"]
