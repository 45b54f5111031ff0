"""Django's own decorators, on dispatch() and around the view."""

import datetime
import gzip
from collections.abc import Callable
from typing import Any
from unittest import mock

from django.conf import settings
from django.contrib.auth.decorators import (
    login_not_required,
    login_required,
    permission_required,
    user_passes_test,
)
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.http import Http404
from django.utils.csp import CSP
from django.utils.decorators import method_decorator
from django.views.debug import SafeExceptionReporterFilter
from django.views.decorators.cache import cache_control, cache_page, never_cache
from django.views.decorators.clickjacking import (
    xframe_options_deny,
    xframe_options_exempt,
    xframe_options_sameorigin,
)
from django.views.decorators.common import no_append_slash
from django.views.decorators.csp import csp_override, csp_report_only_override
from django.views.decorators.csrf import (
    csrf_exempt,
    csrf_protect,
    ensure_csrf_cookie,
)
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import (
    condition,
    conditional_page,
    etag,
    last_modified,
    require_http_methods,
    require_safe,
)
from django.views.decorators.vary import vary_on_cookie, vary_on_headers

from tests.ecosystem.models import Author, Book
from tests.ecosystem.trying import Decorated, Site, tried

AUSER = "Django loads the user in three more hops. On `dispatch`, one hop is enough."


def both(what: str, **around: Any) -> Callable[[type[Decorated]], type[Decorated]]:
    """Try a decorator in both places; `around`: what differs around the view."""

    def register(cls: type[Decorated]) -> type[Decorated]:
        cls.what = f"{what} on `dispatch`"
        tried(cls)
        attributes = {"what": f"{what} around the view", "in_urlconf": True}
        tried(type(cls.__name__, (cls,), {**attributes, **around}))
        return cls

    return register


def without(name: str) -> list[str]:
    (middleware,) = [one for one in settings.MIDDLEWARE if one.endswith(name)]
    return [one for one in settings.MIDDLEWARE if one != middleware]


@both("`login_required`", note=AUSER)
class LoginRequired(Decorated):
    decorator = login_required

    def visits(self, site: Site) -> None:
        assert site.client().get("/").url == "/accounts/login/?next=/"
        assert b"Emma by Jane" in site.client(site.ann).get("/").content


@both("`permission_required`", note=AUSER)
class PermissionRequired(Decorated):
    decorator = permission_required("ecosystem.view_book", raise_exception=True)

    def visits(self, site: Site) -> None:
        assert site.client(site.ann).get("/").status_code == 403
        permission = Permission.objects.filter(codename="change_author")
        site.ann.user_permissions.set(permission)
        assert site.client(site.ann).get("/").status_code == 403
        site.ann.is_superuser = True
        site.ann.save()
        assert b"Emma by Jane" in site.client(site.ann).get("/").content


@both("`user_passes_test`", note=AUSER)
class UserPassesTest(Decorated):
    # A test that queries.
    decorator = user_passes_test(
        lambda user: Book.objects.filter(owner=user.get_username()).count() == 2
    )

    def visits(self, site: Site) -> None:
        assert site.client(site.bob).get("/").url == "/accounts/login/?next=/"
        assert b"Emma by Jane" in site.client(site.ann).get("/").content


@both("`login_not_required`, with `LoginRequiredMiddleware`")
class LoginNotRequired(Decorated):
    decorator = login_not_required
    settings = {
        "MIDDLEWARE": [
            *settings.MIDDLEWARE,
            "django.contrib.auth.middleware.LoginRequiredMiddleware",
        ],
    }

    def visits(self, site: Site) -> None:
        assert site.client().get("/shelf/").status_code == 302
        assert b"Emma by Jane" in site.client().get("/").content


@both("`never_cache`")
class NeverCache(Decorated):
    decorator = never_cache

    def visits(self, site: Site) -> None:
        assert "no-store" in site.client().get("/")["Cache-Control"]


@both("`cache_control`")
class CacheControl(Decorated):
    decorator = cache_control(private=True, max_age=60)

    def visits(self, site: Site) -> None:
        assert site.client().get("/")["Cache-Control"] == "private, max-age=60"


@both(
    "`cache_page`",
    note=(
        "The decorator calls the cache on the event loop. Use it there only with a "
        "cache in memory. See "
        "[](../how-to/caching.md#do-not-put-cache_page-in-the-urlconf)."
    ),
)
class CachePage(Decorated):
    decorator = cache_page(60)

    def visits(self, site: Site) -> None:
        first = site.client().get("/").content
        assert b"Emma by Jane" in first
        Book.objects.all().delete()
        assert site.client().get("/").content == first


CREATE = {
    "model": Author,
    "fields": ["name", "slug"],
    "template_name": "ecosystem/page.html",
    "success_url": "/shelf/",
}
AUTHOR = {"name": "Mary", "slug": "mary"}


class Posted(Decorated):
    """A decorator for what is posted."""

    base = "CreateView"
    hook = "aform_valid"
    attributes = CREATE


@both("`csrf_exempt`")
class CsrfExempt(Posted):
    decorator = csrf_exempt

    def visits(self, site: Site) -> None:
        client = site.client(enforce_csrf_checks=True)
        assert client.post("/", AUTHOR).url == "/shelf/"


@both(
    "`csrf_protect`",
    note="Django reads the page of a failed CSRF check from a file, on the event loop.",
)
class CsrfProtect(Posted):
    decorator = csrf_protect
    settings = {"MIDDLEWARE": without("CsrfViewMiddleware")}

    def visits(self, site: Site) -> None:
        client = site.client(enforce_csrf_checks=True)
        assert client.post("/", AUTHOR).status_code == 403
        assert not Author.objects.filter(slug="mary").exists()
        token = "t" * 32
        client.cookies["csrftoken"] = token
        response = client.post("/", {**AUTHOR, "csrfmiddlewaretoken": token})
        assert response.url == "/shelf/"

    def shown(self, headers: dict[str, str], content: bytes) -> Any:
        # Else the page of the refusal, with another token each time.
        return headers.get("Location")


@both("`ensure_csrf_cookie`")
class EnsureCsrfCookie(Decorated):
    decorator = ensure_csrf_cookie

    def visits(self, site: Site) -> None:
        assert site.client().get("/").cookies["csrftoken"].value


@both("`vary_on_headers`")
class VaryOnHeaders(Decorated):
    decorator = vary_on_headers("Accept-Language")

    def visits(self, site: Site) -> None:
        assert "Accept-Language" in site.client().get("/")["Vary"]


@both("`vary_on_cookie`")
class VaryOnCookie(Decorated):
    decorator = vary_on_cookie

    def visits(self, site: Site) -> None:
        assert "Cookie" in site.client().get("/")["Vary"]


@both("`xframe_options_deny`")
class XframeDeny(Decorated):
    decorator = xframe_options_deny
    expected: str | None = "DENY"
    settings = {"X_FRAME_OPTIONS": "SAMEORIGIN"}

    def visits(self, site: Site) -> None:
        response = site.client().get("/")
        assert response.get("X-Frame-Options") == self.expected
        assert b"Emma by Jane" in response.content


@both("`xframe_options_sameorigin`")
class XframeSameOrigin(XframeDeny):
    decorator = xframe_options_sameorigin
    expected = "SAMEORIGIN"
    settings = {"X_FRAME_OPTIONS": "DENY"}


@both("`xframe_options_exempt`")
class XframeExempt(XframeDeny):
    decorator = xframe_options_exempt
    expected = None


@both("`sensitive_post_parameters`")
class SensitivePostParameters(Posted):
    decorator = sensitive_post_parameters("name")

    def visits(self, site: Site) -> None:
        response = site.client().post("/", AUTHOR)
        request = getattr(response, "asgi_request" if site.is_async else "wsgi_request")
        report = SafeExceptionReporterFilter()
        with mock.patch.object(report, "is_active", return_value=True):
            shown = report.get_post_parameters(request)
        assert set(shown["name"]) == {"*"}
        assert shown["slug"] == "mary"


@both("`require_http_methods`")
class RequireHttpMethods(Posted):
    decorator = require_http_methods(["POST"])

    def visits(self, site: Site) -> None:
        client = site.client()
        response = client.get("/")
        assert response.status_code == 405
        assert response["Allow"] == "POST"
        assert client.post("/", AUTHOR).url == "/shelf/"


@both("`require_safe`")
class RequireSafe(Posted):
    decorator = require_safe
    hook = "aget_context_data"

    def visits(self, site: Site) -> None:
        client = site.client()
        assert client.post("/", AUTHOR).status_code == 405
        assert not Author.objects.filter(slug="mary").exists()
        assert client.head("/").status_code == 200
        assert b'name="slug"' in client.get("/").content


@both("`gzip_page`")
class GzipPage(Decorated):
    decorator = gzip_page

    def visits(self, site: Site) -> None:
        author = site.author
        for number in range(20):
            Book.objects.create(
                title=f"Book {number}", slug=number, author=author, published="2000-1-1"
            )
        zipped = {"headers": {"Accept-Encoding": "gzip"}}
        response = site.client().get("/", **zipped)
        assert response["Content-Encoding"] == "gzip"
        assert b"Emma by Jane" in gzip.decompress(response.content)
        assert b"Emma by Jane" in site.client().get("/").content

    def shown(self, headers: dict[str, str], content: bytes) -> Any:
        # Padded at random.
        is_zipped = headers.get("Content-Encoding") == "gzip"
        return gzip.decompress(content) if is_zipped else content


@both("`conditional_page`")
class ConditionalPage(Decorated):
    decorator = conditional_page

    def visits(self, site: Site) -> None:
        first = site.client().get("/")
        again = {"headers": {"If-None-Match": first["ETag"]}}
        assert site.client().get("/", **again).status_code == 304
        Book.objects.all().delete()
        assert site.client().get("/", **again).status_code == 200


ON_THE_LOOP = {
    "refused": "You cannot call this from an async context",
    "note": (
        "Django calls the function, which queries, on the event loop. Put the "
        "decorator on `dispatch`, or give it a function that does not query."
    ),
}


@both("`etag`, by a query", **ON_THE_LOOP)
class Etag(ConditionalPage):
    decorator = etag(lambda request, **kwargs: str(Book.objects.count()))


@both("`etag`, by no query")
class PlainEtag(Decorated):
    decorator = etag(lambda request, **kwargs: request.GET.get("version", "1"))

    def visits(self, site: Site) -> None:
        assert site.client().get("/")["ETag"] == '"1"'
        again = {"headers": {"If-None-Match": '"1"'}}
        assert site.client().get("/", **again).status_code == 304
        assert site.client().get("/?version=2", **again).status_code == 200


def changed(request: Any, **kwargs: Any) -> Any:
    """When the last book that is owned by Ann was changed, in some way."""
    count = Book.objects.filter(owner="ann").count()
    return datetime.datetime(2000, 1, count, tzinfo=datetime.UTC)


@both("`last_modified`, by a query", **ON_THE_LOOP)
class LastModified(Decorated):
    decorator = last_modified(changed)

    def visits(self, site: Site) -> None:
        first = site.client().get("/")["Last-Modified"]
        assert first == "Sun, 02 Jan 2000 00:00:00 GMT"
        again = {"headers": {"If-Modified-Since": first}}
        assert site.client().get("/", **again).status_code == 304
        Book.objects.update(owner="ann")
        assert site.client().get("/", **again).status_code == 200


@both("`condition`, by queries", **ON_THE_LOOP)
class Condition(LastModified):
    decorator = condition(
        lambda request, **kwargs: str(Book.objects.filter(owner="ann").count()),
        changed,
    )


@both("`no_append_slash`")
class NoAppendSlash(Decorated):
    decorator = no_append_slash
    base = "DetailView"

    def visits(self, site: Site) -> None:
        assert b"Emma by Jane" in site.client().get("/emma/").content
        assert site.client().get("/emma").status_code == 404
        assert site.client().get("/shelf").status_code == 301

    def shown(self, headers: dict[str, str], content: bytes) -> Any:
        return content


@both("`csp_override`")
class CspOverride(Decorated):
    header = "Content-Security-Policy"
    decorator = csp_override({"default-src": [CSP.NONE]})
    settings = {
        "MIDDLEWARE": [
            *settings.MIDDLEWARE,
            "django.middleware.csp.ContentSecurityPolicyMiddleware",
        ],
        "SECURE_CSP": {"default-src": [CSP.SELF]},
        "SECURE_CSP_REPORT_ONLY": {"default-src": [CSP.SELF]},
    }

    def visits(self, site: Site) -> None:
        assert site.client().get("/")[self.header] == "default-src 'none'"
        assert site.client().get("/shelf/")[self.header] == "default-src 'self'"


@both("`csp_report_only_override`")
class CspReportOnlyOverride(CspOverride):
    header = "Content-Security-Policy-Report-Only"
    decorator = csp_report_only_override({"default-src": [CSP.NONE]})


def make_and_fail(view: Any, request: Any) -> Any:
    Author.objects.create(**AUTHOR)
    raise Http404


class Transaction(Decorated):
    """A page that writes and then says that it is not there."""

    decorator = transaction.atomic

    base = "View"
    hook = "post"
    attributes = {"post": make_and_fail}
    is_kept = False

    def visits(self, site: Site) -> None:
        assert site.client().post("/").status_code == 404
        assert Author.objects.filter(slug="mary").exists() is self.is_kept


@both(
    "`transaction.atomic`",
    note="Put it on `dispatch` if the view has an `async def` handler.",
)
class Atomic(Transaction):
    pass


@tried
class AtomicAsyncHandler(Transaction):
    what = "`transaction.atomic` on an `async def post()`"
    refused = "You cannot call this from an async context"
    note = "Use `async with aatomic():` in the handler, or decorate `dispatch`."

    def view(self, views: Any) -> Any:
        if not views.is_ours:
            return super().view(views)

        async def post(view: Any, request: Any) -> Any:
            await Author.objects.acreate(**AUTHOR)
            raise Http404

        post = method_decorator(transaction.atomic)(post)
        return type("Page", (views.View,), {"post": post})


@both("`transaction.non_atomic_requests`, with `ATOMIC_REQUESTS`")
class NonAtomicRequests(Transaction):
    decorator = transaction.non_atomic_requests
    is_kept = True

    def visits(self, site: Site) -> None:
        with mock.patch.dict(connection.settings_dict, ATOMIC_REQUESTS=True):
            super().visits(site)
