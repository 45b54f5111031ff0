"""django-ratelimit: how often somebody may ask."""

from typing import Any

from django.utils.decorators import method_decorator
from django_ratelimit.decorators import ratelimit

from tests.ecosystem.trying import Case, Decorated, Site, tried

# By the day, so that no test is at the border of two of them but at midnight; and of
# one it asks for less than a second.
once = ratelimit(key="user_or_ip", rate="1/d")


@tried
class Ratelimit(Decorated):
    package = "django-ratelimit"
    what = "`ratelimit` on `dispatch`"
    decorator = once

    def visits(self, site: Site) -> None:
        assert b"Emma by Jane" in site.client().get("/").content
        assert site.client().get("/").status_code == 403
        assert site.client(site.ann).get("/").status_code == 200


@tried
class RatelimitUnblocked(Ratelimit):
    what = "`ratelimit(block=False)`, and `request.limited` in a hook"
    decorator = ratelimit(key="user_or_ip", rate="1/d", block=False)

    def view(self, views: Any) -> Any:
        def get_queryset(view: Any) -> Any:
            books = super(cls, view).get_queryset()
            return books.none() if view.request.limited else books

        cls = super().view(views)
        cls.get_queryset = get_queryset
        return cls

    def visits(self, site: Site) -> None:
        assert site.client().get("/").content.count(b"<p>") == 3
        assert site.client().get("/").content.count(b"<p>") == 0


@tried
class RatelimitHandler(Ratelimit):
    what = "`ratelimit` on a sync `get()`"

    def view(self, views: Any) -> Any:
        def get(view: Any, request: Any) -> Any:
            return super(cls, view).get(request)

        attributes = {**self.attributes, "get": method_decorator(once)(get)}
        cls = type("Page", (views.ListView,), attributes)
        return cls


@tried
class RatelimitAsyncHandler(Case):
    package = "django-ratelimit"
    what = "`ratelimit` on an `async def get()`"
    refused = "You cannot call this from an async context"
    note = (
        "The decorator queries the user and the cache on the event loop. Put it on "
        "`dispatch`, or on a sync handler."
    )

    def view(self, views: Any) -> Any:
        if not views.is_ours:
            return Ratelimit().view(views)

        async def get(view: Any, request: Any) -> Any:
            return await super(cls, view).get(request)

        attributes = {**self.attributes, "get": method_decorator(once)(get)}
        cls = type("Page", (views.ListView,), attributes)
        return cls

    visits = Ratelimit.visits


@tried
class RatelimitAround(Ratelimit):
    what = "`ratelimit` around the view"
    in_urlconf = True
    note = "Put it on `dispatch` if the view has an `async def` handler."
