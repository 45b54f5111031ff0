"""django-allauth: the mixins of its views, and its decorators."""

from typing import Any

from allauth.account import mixins
from allauth.account.decorators import (
    reauthentication_required,
    secure_admin_login,
    verified_email_required,
)
from allauth.account.models import EmailAddress
from django import forms
from django.contrib.auth.models import User
from django.core import mail
from django.http import HttpResponse

from tests.ecosystem.trying import Case, Decorated, Site, tried

AJAX = {"headers": {"X-Requested-With": "XMLHttpRequest"}}


class NameForm(forms.Form):
    name = forms.CharField()


class Allauth(Case):
    package = "django-allauth"
    mixin: type
    base = "FormView"
    attributes = {
        "form_class": NameForm,
        "template_name": "ecosystem/page.html",
        "success_url": "/shelf/",
    }
    more: dict[str, Any] = {}

    def __init__(self) -> None:
        self.what = self.what or f"`{self.mixin.__name__}`"

    def view(self, views: Any) -> Any:
        bases = (self.mixin, getattr(views, self.base))
        return type("Page", bases, {**self.attributes, **self.more})


@tried
class RedirectAuthenticatedUser(Allauth):
    mixin = mixins.RedirectAuthenticatedUserMixin

    def visits(self, site: Site) -> None:
        assert site.client(site.ann).get("/").url == "/shelf/"
        response = site.client().get("/")
        assert b'name="name"' in response.content
        assert "no-store" in response["Cache-Control"]


@tried
class AjaxCapableProcessFormView(Allauth):
    mixin = mixins.AjaxCapableProcessFormViewMixin

    def visits(self, site: Site) -> None:
        client = site.client()
        assert b'name="name"' in client.get("/").content
        assert "name" in client.get("/", **AJAX).json()["form"]["fields"]
        invalid = client.post("/", {}, **AJAX)
        assert invalid.status_code == 400
        assert invalid.json()["form"]["fields"]["name"]["errors"]
        valid = client.post("/", {"name": "Ann"}, **AJAX)
        assert valid.json()["location"] == "/shelf/"


@tried
class AsyncAjaxCapable(AjaxCapableProcessFormView):
    what = "`AjaxCapableProcessFormViewMixin`, and an async `aform_valid()`"
    hook = "aform_valid"


@tried
class CloseableSignup(Allauth):
    mixin = mixins.CloseableSignupMixin
    more = {"is_open": lambda view: "open" in view.request.GET}

    def visits(self, site: Site) -> None:
        assert b'name="name"' in site.client().get("/?open").content
        assert b"sign up is currently closed" in site.client().get("/").content


@tried
class NextRedirect(Allauth):
    mixin = mixins.NextRedirectMixin

    def visits(self, site: Site) -> None:
        client = site.client()
        context = client.get("/?next=/emma/").context
        assert 'value="/emma/"' in context["redirect_field"]
        sent = {"name": "Ann"}
        assert client.post("/", sent).url == "/shelf/"
        assert client.post("/", {**sent, "next": "/emma/"}).url == "/emma/"
        evil = {**sent, "next": "https://evil.example/"}
        assert client.post("/", evil).url == "/shelf/"


def logged_out(view: Any, request: Any) -> HttpResponse:
    view.logout()
    return HttpResponse("bye")


@tried
class LogoutFunctionality(Allauth):
    mixin = mixins.LogoutFunctionalityMixin
    base = "View"
    hook = "post"
    attributes = {"post": logged_out}

    def visits(self, site: Site) -> None:
        client = site.client(site.ann)
        assert "_auth_user_id" in client.session
        assert client.post("/").content == b"bye"
        assert "_auth_user_id" not in client.session


@tried
class VerifiedEmail(Decorated):
    package = "django-allauth"
    what = "`verified_email_required` on `dispatch`"
    decorator = verified_email_required

    def visits(self, site: Site) -> None:
        assert site.client().get("/").url == "/accounts/login/?next=/"
        mail.outbox.clear()
        page = site.client(site.ann).get("/").content
        assert b"Verify Your Email Address" in page
        assert [one.to for one in mail.outbox] == [["ann@example.com"]]
        EmailAddress.objects.update(verified=True)
        assert b"Emma by Jane" in site.client(site.ann).get("/").content


@tried
class VerifiedEmailAround(VerifiedEmail):
    what = "`verified_email_required` around the view"
    in_urlconf = True
    note = "Put it on `dispatch` if the view has an `async def` handler."


@tried
class Reauthentication(Decorated):
    package = "django-allauth"
    what = "`reauthentication_required` on `dispatch`"
    decorator = reauthentication_required

    def visits(self, site: Site) -> None:
        ann = site.client(site.ann)
        assert ann.get("/").url == "/accounts/reauthenticate/?next=%2F"
        ann.post("/accounts/reauthenticate/", {"password": "secret"})
        assert b"Emma by Jane" in ann.get("/").content


@tried
class SecureAdminLogin(Decorated):
    package = "django-allauth"
    what = "`secure_admin_login` on `dispatch`"
    decorator = secure_admin_login

    def visits(self, site: Site) -> None:
        assert site.client().get("/").url == "/accounts/login/?next=%2F"
        assert site.client(site.ann).get("/").status_code == 403
        User.objects.update(is_staff=True)
        assert b"Emma by Jane" in site.client(site.ann).get("/").content
