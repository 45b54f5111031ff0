"""django-braces: many small mixins."""

import datetime
import json
from typing import Any

from braces import views as braces
from django import forms
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.ecosystem.models import Author, Book
from tests.ecosystem.trying import Case, Site, tried

LOGIN = "/accounts/login/?next=/"


def allow(user: User, codename: str) -> None:
    kind = ContentType.objects.get_for_model(Book)
    permission, _ = Permission.objects.get_or_create(
        codename=codename, content_type=kind, defaults={"name": codename}
    )
    user.user_permissions.add(permission)


class Braces(Case):
    """A mixin in front of a view."""

    package = "django-braces"
    mixin: type
    base = "ListView"
    more: dict[str, Any] = {}

    def __init__(self) -> None:
        self.what = self.what or f"`{self.mixin.__name__}`"

    def view(self, views: Any) -> Any:
        bases = (self.mixin, getattr(views, self.base))
        return type("Page", bases, {**self.attributes, **self.more})


class Access(Braces):
    """Anonymous users are sent to the login, and so is who may not see the page."""

    def grant(self, site: Site) -> None:
        """Let Ann see it."""

    def visits(self, site: Site) -> None:
        assert site.client().get("/").url == LOGIN
        ann = site.client(site.ann)
        assert ann.get("/").url == LOGIN
        self.grant(site)
        assert b"Emma by Jane" in site.client(site.ann).get("/").content


@tried
class LoginRequired(Braces):
    mixin = braces.LoginRequiredMixin

    def visits(self, site: Site) -> None:
        assert site.client().get("/").url == LOGIN
        assert b"Emma by Jane" in site.client(site.ann).get("/").content


@tried
class AnonymousRequired(Braces):
    mixin = braces.AnonymousRequiredMixin
    more = {"authenticated_redirect_url": "/shelf/"}

    def visits(self, site: Site) -> None:
        assert site.client(site.ann).get("/").url == "/shelf/"
        assert b"Emma by Jane" in site.client().get("/").content


@tried
class PermissionRequired(Access):
    mixin = braces.PermissionRequiredMixin
    more = {"permission_required": "ecosystem.lend"}

    def grant(self, site: Site) -> None:
        allow(site.ann, "lend")


@tried
class MultiplePermissionsRequired(Access):
    mixin = braces.MultiplePermissionsRequiredMixin
    more = {"permissions": {"all": ["ecosystem.lend", "ecosystem.sell"]}}

    def grant(self, site: Site) -> None:
        allow(site.ann, "lend")
        assert site.client(site.ann).get("/").url == LOGIN
        allow(site.ann, "sell")


@tried
class GroupRequired(Access):
    mixin = braces.GroupRequiredMixin
    more = {"group_required": "librarians"}

    def grant(self, site: Site) -> None:
        site.ann.groups.add(Group.objects.create(name="librarians"))


@tried
class UserPassesTest(Access):
    mixin = braces.UserPassesTestMixin
    more = {"test_func": lambda view, user: user.get_username() == "eve"}

    def grant(self, site: Site) -> None:
        site.ann.username = "eve"
        site.ann.save()


@tried
class AsyncUserPassesTest(UserPassesTest):
    what = "`UserPassesTestMixin` with an `async def test_func()`"
    refused = "test_func() would let everyone in"
    note = "On Django's view it lets everybody in: a coroutine is true."

    async def test_func(self: Any, user: Any) -> bool:
        return False

    more = {"test_func": test_func}

    def visits(self, site: Site) -> None:
        assert b"Emma by Jane" in site.client().get("/").content


@tried
class SuperuserRequired(Access):
    mixin = braces.SuperuserRequiredMixin

    def grant(self, site: Site) -> None:
        User.objects.update(is_superuser=True)


@tried
class StaffuserRequired(Access):
    mixin = braces.StaffuserRequiredMixin

    def grant(self, site: Site) -> None:
        User.objects.update(is_staff=True)


@tried
class SSLRequired(Braces):
    mixin = braces.SSLRequiredMixin

    def visits(self, site: Site) -> None:
        assert site.client().get("/").url == "https://testserver/"
        assert b"Emma by Jane" in site.client().get("/", secure=True).content


@tried
class RecentLoginRequired(Braces):
    mixin = braces.RecentLoginRequiredMixin
    note = (
        "After an old login it answers 405, also on Django's view: it calls "
        "`logout_then_login()`, which Django has for POST alone since version 5."
    )

    def visits(self, site: Site) -> None:
        assert site.client().get("/").url == LOGIN
        ann = site.client(site.ann)
        assert b"Emma by Jane" in ann.get("/").content
        long_ago = timezone.now() - datetime.timedelta(hours=1)
        User.objects.update(last_login=long_ago)
        assert ann.get("/").status_code == 405


@tried
class JSONResponse(Braces):
    mixin = braces.JSONResponseMixin
    base = "View"
    hook = "get"
    more = {
        "get": lambda view, request: view.render_json_response(
            {"titles": [str(book) for book in Book.objects.all()]}
        )
    }

    def visits(self, site: Site) -> None:
        response = site.client().get("/")
        assert response["Content-Type"] == "application/json"
        assert response.json()["titles"][0] == "Dracula by Bram"


@tried
class JsonRequestResponse(Braces):
    mixin = braces.JsonRequestResponseMixin
    base = "View"
    hook = "post"
    more = {
        "require_json": True,
        "post": lambda view, request: view.render_json_response(
            {"found": Book.objects.filter(**view.request_json).count()}
        ),
    }

    def visits(self, site: Site) -> None:
        kind = {"content_type": "application/json"}
        asked = json.dumps({"author__slug": "jane"})
        assert site.client().post("/", asked, **kind).json() == {"found": 2}
        assert site.client().post("/", "no JSON", **kind).status_code == 400


@tried
class AjaxResponse(Braces):
    mixin = braces.AjaxResponseMixin
    more = {
        "get_ajax": lambda view, request: HttpResponse(
            ", ".join(book.title for book in Book.objects.all())
        )
    }

    def visits(self, site: Site) -> None:
        ajax = {"headers": {"X-Requested-With": "XMLHttpRequest"}}
        assert site.client().get("/", **ajax).content == b"Dracula, Emma, Persuasion"
        assert b"<p>Emma by Jane</p>" in site.client().get("/").content


@tried
class AsyncAjaxResponse(AjaxResponse):
    what = "`AjaxResponseMixin`, its handlers as they are"
    more = {}

    def visits(self, site: Site) -> None:
        ajax = {"headers": {"X-Requested-With": "XMLHttpRequest"}}
        assert b"<p>Emma by Jane</p>" in site.client().get("/", **ajax).content


@tried
class CsrfExempt(Braces):
    mixin = braces.CsrfExemptMixin
    base = "View"
    hook = "post"
    more = {"post": lambda view, request: HttpResponse(Book.objects.count())}

    def visits(self, site: Site) -> None:
        assert site.client(enforce_csrf_checks=True).post("/").content == b"3"


class OwnerForm(forms.ModelForm):
    class Meta:
        model = Author
        fields = ["name", "slug"]

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].help_text = user.get_username()


AUTHOR = {"name": "Mary", "slug": "mary"}
FORM = {
    "model": Author,
    "fields": ["name", "slug"],
    "template_name": "ecosystem/page.html",
    "success_url": "/shelf/",
}


@tried
class UserFormKwargs(Braces):
    mixin = braces.UserFormKwargsMixin
    base = "CreateView"
    attributes = {**FORM, "fields": None, "form_class": OwnerForm}

    def visits(self, site: Site) -> None:
        assert b">ann<" in site.client(site.ann).get("/").content
        assert site.client(site.ann).post("/", AUTHOR).url == "/shelf/"
        assert Author.objects.filter(slug="mary").exists()


@tried
class SuccessURLRedirectList(Braces):
    mixin = braces.SuccessURLRedirectListMixin
    base = "CreateView"
    hook = "aform_valid"
    attributes = FORM
    more = {"success_list_url": "shelf"}

    def visits(self, site: Site) -> None:
        assert site.client().post("/", AUTHOR).url == "/shelf/"


@tried
class FormMessages(Braces):
    mixin = braces.FormMessagesMixin
    base = "CreateView"
    hook = "aform_valid"
    attributes = FORM
    more = {"form_valid_message": "Made.", "form_invalid_message": "Mend it."}

    def visits(self, site: Site) -> None:
        client = site.client()
        assert b"<b>Mend it.</b>" in client.post("/", {}).content
        assert client.post("/", AUTHOR).url == "/shelf/"
        assert b"<b>Made.</b>" in client.get("/").content


@tried
class SetHeadline(Braces):
    mixin = braces.SetHeadlineMixin
    more = {"headline": "Books of ours"}

    def visits(self, site: Site) -> None:
        assert b"<title>Books of ours</title>" in site.client().get("/").content


@tried
class StaticContext(Braces):
    mixin = braces.StaticContextMixin
    more = {"static_context": {"headline": "Books of ours"}}
    visits = SetHeadline.visits


@tried
class CanonicalSlugDetail(Braces):
    mixin = braces.CanonicalSlugDetailMixin
    base = "DetailView"

    def visits(self, site: Site) -> None:
        emma = site.emma.pk
        client = site.client()
        assert client.get(f"/{emma}/old/").url == f"/{emma}/emma/"
        assert b"<h1>Emma by Jane</h1>" in client.get(f"/{emma}/emma/").content


@tried
class AllVerbs(Braces):
    mixin = braces.AllVerbsMixin
    more = {"all": lambda view, request: view.get(request)}

    def visits(self, site: Site) -> None:
        client = site.client()
        for visit in (client.get, client.post, client.put):
            assert b"<p>Emma by Jane</p>" in visit("/").content


@tried
class Header(Braces):
    mixin = braces.HeaderMixin
    more = {"headers": {"X-Shelf": "3"}}

    def visits(self, site: Site) -> None:
        response = site.client().get("/")
        assert response["X-Shelf"] == "3"
        assert b"<p>Emma by Jane</p>" in response.content


@tried
class CacheControl(Braces):
    mixin = braces.CacheControlMixin
    more = {"cachecontrol_public": True, "cachecontrol_max_age": 60}

    def visits(self, site: Site) -> None:
        assert site.client().get("/")["Cache-Control"] == "public, max-age=60"


@tried
class NeverCache(Braces):
    mixin = braces.NeverCacheMixin

    def visits(self, site: Site) -> None:
        assert "no-store" in site.client().get("/")["Cache-Control"]


@tried
class SelectRelated(Braces):
    mixin = braces.SelectRelatedMixin
    more = {"select_related": ["author"]}

    def visits(self, site: Site) -> None:
        with CaptureQueriesContext(connection) as queries:
            assert b"<p>Emma by Jane</p>" in site.client().get("/").content
        assert len(queries) == 1


@tried
class PrefetchRelated(SelectRelated):
    mixin = braces.PrefetchRelatedMixin
    more = {"prefetch_related": ["books"], "model": Author}

    def visits(self, site: Site) -> None:
        with CaptureQueriesContext(connection) as queries:
            assert b"<p>Jane</p>" in site.client().get("/").content
        assert len(queries) == 2


@tried
class OrderableList(Braces):
    mixin = braces.OrderableListMixin
    more = {
        "orderable_columns": ["title", "published"],
        "orderable_columns_default": "title",
    }

    def visits(self, site: Site) -> None:
        def shown(query: str) -> list[str]:
            response = site.client().get(f"/{query}")
            return [book.title for book in response.context["object_list"]]

        assert shown("") == ["Dracula", "Emma", "Persuasion"]
        by_date = shown("?order_by=published&ordering=desc")
        assert by_date == ["Dracula", "Persuasion", "Emma"]
