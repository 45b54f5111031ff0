"""django-htmx: what htmx has sent, and what it is to do with the answer."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from tests.ecosystem.models import Book
from tests.ecosystem.trying import Case, Site, tried

MIDDLEWARE = "django_htmx.middleware.HtmxMiddleware"
HTMX = {"headers": {"HX-Request": "true", "HX-Target": "books"}}


class Htmx(Case):
    package = "django-htmx"
    settings = {"MIDDLEWARE": [*settings.MIDDLEWARE, MIDDLEWARE]}


@tried
class Partial(Htmx):
    what = "`HtmxMiddleware`, and `request.htmx` in a hook"
    middleware = MIDDLEWARE

    def view(self, views: Any) -> Any:
        def get_queryset(view: Any) -> Any:
            books = super(cls, view).get_queryset()
            if view.request.htmx:
                assert view.request.htmx.target == "books"
                books = books.filter(author__slug="jane")
            return books

        attributes = {**self.attributes, "get_queryset": get_queryset}
        cls = type("Page", (views.ListView,), attributes)
        return cls

    def visits(self, site: Site) -> None:
        client = site.client()
        assert client.get("/").content.count(b"<p>") == 3
        assert client.get("/", **HTMX).content.count(b"<p>") == 2


@tried
class Responses(Htmx):
    what = "`HttpResponseClientRedirect`, `trigger_client_event()` in a handler"
    hook = "post"

    def view(self, views: Any) -> Any:
        def post(view: Any, request: Any) -> Any:
            if not request.htmx:
                return HttpResponseClientRedirect("/shelf/")
            return trigger_client_event(HttpResponse(Book.objects.count()), "counted")

        return type("Page", (views.View,), {"post": post})

    def visits(self, site: Site) -> None:
        client = site.client()
        assert client.post("/")["HX-Redirect"] == "/shelf/"
        response = client.post("/", **HTMX)
        assert response["HX-Trigger"] == '{"counted": {}}'
        assert response.content == b"3"
