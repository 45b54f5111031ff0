"""django-rules: permissions by predicates on objects (see the models)."""

from typing import Any

from rules.contrib.views import (
    AutoPermissionRequiredMixin,
    PermissionRequiredMixin,
    objectgetter,
    permission_required,
)

from tests.ecosystem.models import Book
from tests.ecosystem.trying import Case, Decorated, Site, tried

EDIT = {
    "model": Book,
    "fields": ["title"],
    "template_name": "ecosystem/page.html",
    "success_url": "/shelf/",
    "raise_exception": True,
}


class Rules(Case):
    """Owners may change their books."""

    package = "rules"
    mixin: type
    more: dict[str, Any] = {}

    def view(self, views: Any) -> Any:
        return type("Page", (self.mixin, views.UpdateView), {**EDIT, **self.more})

    def visits(self, site: Site) -> None:
        ann = site.client(site.ann)
        assert ann.get("/persuasion/").status_code == 403
        assert ann.post("/persuasion/", {"title": "Mine"}).status_code == 403
        assert b'value="Emma"' in ann.get("/emma/").content
        assert ann.post("/emma/", {"title": "Mine"}).url == "/shelf/"
        titles = set(Book.objects.values_list("title", flat=True))
        assert titles == {"Dracula", "Mine", "Persuasion"}


@tried
class PermissionRequired(Rules):
    what = "`PermissionRequiredMixin`"
    mixin = PermissionRequiredMixin
    more = {"permission_required": "ecosystem.change_book"}


@tried
class AsyncObject(PermissionRequired):
    what = "`PermissionRequiredMixin`, and an async `aget_object()`"
    hook = "aget_object"


@tried
class AutoPermissionRequired(Rules):
    what = "`AutoPermissionRequiredMixin`"
    mixin = AutoPermissionRequiredMixin


@tried
class PermissionDecorator(Decorated):
    package = "rules"
    what = "`permission_required` on `dispatch`"
    base = "UpdateView"
    attributes = EDIT
    decorator = permission_required(
        "ecosystem.change_book",
        fn=objectgetter(Book, "slug", "slug"),
        raise_exception=True,
    )
    visits = Rules.visits


@tried
class PermissionDecoratorAround(PermissionDecorator):
    what = "`permission_required` around the view"
    in_urlconf = True
    note = "Put it on `dispatch` if the view has an `async def` handler."
