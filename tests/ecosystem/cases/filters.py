"""django-filter: lists that are filtered by their query."""

from typing import Any

from django_filters import CharFilter, FilterSet
from django_filters.views import FilterView

from tests.ecosystem.models import Book
from tests.ecosystem.trying import Case, Site, tried


class BookFilter(FilterSet):
    author = CharFilter(field_name="author__slug")

    class Meta:
        model = Book
        fields = ["author", "published"]


@tried
class Filter(Case):
    package = "django-filter"
    what = "`FilterView`, as `class BookFilter(FilterView, AsyncListView)`"

    def view(self, views: Any) -> Any:
        attributes = {**self.attributes, "filterset_class": BookFilter}
        return type("Page", (FilterView, views.ListView), attributes)

    def visits(self, site: Site) -> None:
        client = site.client()
        assert client.get("/").content.count(b"<p>") == 3
        page = client.get("/?author=jane").content
        assert page.count(b"<p>") == 2
        assert b"<p>Emma by Jane</p>" in page
        # Of an invalid filter no row is shown, rather than all.
        assert client.get("/?published=never").content.count(b"<p>") == 0


@tried
class PagedFilter(Filter):
    what = "`FilterView` with `paginate_by`"
    hook = "aget_queryset"

    def view(self, views: Any) -> Any:
        return type("Page", (super().view(views),), {"paginate_by": 1})

    def visits(self, site: Site) -> None:
        page = site.client().get("/?author=jane&page=2").content
        assert page.count(b"<p>") == 1
        assert b"<p>Persuasion by Jane</p>" in page
