"""django-guardian: permissions on single objects."""

from typing import Any

from guardian.decorators import permission_required_or_403
from guardian.mixins import (
    LoginRequiredMixin,
    PermissionListMixin,
    PermissionRequiredMixin,
)
from guardian.shortcuts import assign_perm

from tests.ecosystem.models import Book
from tests.ecosystem.trying import Case, Decorated, Site, tried


class Guardian(Case):
    package = "django-guardian"


@tried
class LoginRequired(Guardian):
    what = "`LoginRequiredMixin`"

    def view(self, views: Any) -> Any:
        return type("Page", (LoginRequiredMixin, views.ListView), self.attributes)

    def visits(self, site: Site) -> None:
        assert site.client().get("/").url == "/accounts/login/?next=/"
        assert b"Emma by Jane" in site.client(site.ann).get("/").content


@tried
class PermissionRequired(Guardian):
    what = "`PermissionRequiredMixin`"

    def view(self, views: Any) -> Any:
        return type(
            "Page",
            (PermissionRequiredMixin, views.DetailView),
            {
                **self.attributes,
                "permission_required": "ecosystem.view_book",
                "return_403": True,
            },
        )

    def visits(self, site: Site) -> None:
        assign_perm("ecosystem.view_book", site.bob, site.emma)
        assert site.client().get("/emma/").status_code == 403
        bob = site.client(site.bob)
        assert bob.get("/dracula/").status_code == 403
        assert b"<h1>Emma by Jane</h1>" in bob.get("/emma/").content


@tried
class PermissionList(Guardian):
    what = "`PermissionListMixin`"

    def view(self, views: Any) -> Any:
        return type(
            "Page",
            (PermissionListMixin, views.ListView),
            {**self.attributes, "permission_required": "ecosystem.view_book"},
        )

    def visits(self, site: Site) -> None:
        assign_perm("ecosystem.view_book", site.bob, site.emma)
        page = site.client(site.bob).get("/").content
        assert b"Emma" in page
        assert b"Dracula" not in page
        assert b"Emma" not in site.client(site.ann).get("/").content


@tried
class PermissionDecorator(Decorated):
    package = "django-guardian"
    what = "`permission_required` on `dispatch`"
    base = "DetailView"
    decorator = permission_required_or_403(
        "ecosystem.view_book", (Book, "slug", "slug")
    )
    visits = PermissionRequired.visits


@tried
class PermissionDecoratorAround(PermissionDecorator):
    what = "`permission_required` around the view"
    in_urlconf = True
    refused = "It returned an unawaited coroutine instead"
    note = "It is sync, and around an async view; put it on `dispatch`."
