"""django-guardian: permissions on single objects."""

from typing import Any

from django.http import HttpResponseForbidden
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
class CheckPermissions(Guardian):
    what = "`PermissionRequiredMixin.check_permissions()`"
    note = "A sync override runs in the worker thread."

    def view(self, views: Any) -> Any:
        class Page(PermissionRequiredMixin, views.DetailView):
            model = Book
            template_name = "ecosystem/page.html"
            permission_required = "ecosystem.view_book"
            return_403 = True

            def check_permissions(self, request: Any) -> Any:
                # A user's own rule, before the package's.
                if Book.objects.filter(slug=self.kwargs["slug"], owner="bob").exists():
                    return HttpResponseForbidden("private")
                return super().check_permissions(request)

        return Page

    def visits(self, site: Site) -> None:
        for book in (site.emma, site.persuasion):
            assign_perm("ecosystem.view_book", site.bob, book)
        bob = site.client(site.bob)
        assert bob.get("/persuasion/").content == b"private"
        assert bob.get("/dracula/").status_code == 403
        assert b"<h1>Emma by Jane</h1>" in bob.get("/emma/").content
        assert site.client().get("/emma/").status_code == 403


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
    note = "Put it on `dispatch` if the view has an `async def` handler."
