"""The suites: which package, in which version, with what, and which of its tests."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SUITES", "Suite"]


@dataclass(frozen=True)
class Suite:
    """The tests that the sdist of a package ships, or those of them that meet views."""

    package: str
    version: str
    # The module of the settings that its tests are run with, in the sdist.
    settings: str
    # What is run: labels of Django's test runner, or paths for pytest.
    labels: tuple[str, ...]
    # How many tests pass on Django's own views, and digest() of the report of that.
    passing: int
    digest: str
    extras: tuple[str, ...] = ()
    # What the tests need besides.
    requirements: tuple[str, ...] = ()
    # Modules whose classes stay made from Django's: their users would not swap them.
    spared: tuple[str, ...] = ()
    # In how many processes, for the longest.
    processes: int = 1
    # For tests written for pytest; else Django's runner takes them.
    is_pytest: bool = False

    def __str__(self) -> str:
        return self.package

    @property
    def pins(self) -> tuple[str, ...]:
        """The requirements, as a dependency group has them."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return (f"{self.package}{extras}=={self.version}", *self.requirements)


# It wraps what as_view() returns in csrf_exempt(), which makes an `async def` of a view
# for callers of either kind.
REST_FRAMEWORK = ("rest_framework.views",)

# The longest first: the others run beside it.
SUITES = (
    Suite(
        "wagtail",
        "8.0.1",
        settings="wagtail.test.settings",
        labels=(
            "wagtail.admin.tests.test_views_generic",
            "wagtail.admin.tests.viewsets",
            "wagtail.admin.tests.pages",
            "wagtail.admin.tests.test_collections_views",
            "wagtail.admin.tests.test_reports_views",
            "wagtail.admin.tests.test_views",
            "wagtail.contrib.redirects.tests.test_import_admin_views",
            "wagtail.documents.tests.test_admin_views",
            "wagtail.images.tests.test_admin_views",
            "wagtail.locales",
            "wagtail.sites",
            "wagtail.users.tests.test_admin_views",
        ),
        passing=1457,
        digest="c3eb04a4433cf413",
        spared=REST_FRAMEWORK,
        processes=2,
        # Of its extra `testing` what these tests import; the rest of it are linters and
        # the SDKs of clouds.
        requirements=(
            "django-pattern-library==1.6.0",
            "factory-boy==3.3.3",
            "freezegun==1.5.5",
            "jinja2==3.1.6",
            "responses==0.26.3",
            # Later releases select nothing inside of a <template>.
            "soupsieve==2.7",
            "tblib==3.2.2",
        ),
    ),
    Suite(
        "django-allauth",
        "65.21.1",
        settings="tests.projects.regular.settings",
        labels=("tests",),
        passing=2304,
        digest="f7ff31364c7be788",
        extras=(
            "headless",
            "headless-spec",
            "idp-oidc",
            "mfa",
            "openid",
            "socialaccount",
            "steam",
        ),
        requirements=(
            "django-ninja==1.7.1",
            "djangorestframework==3.18.3",
            # What later releases add to an answer, the tests of this one do not expect.
            "oauthlib==4.0.0",
            "pillow==13.0.0",
            "pytest-asyncio==1.5.0",
        ),
        spared=REST_FRAMEWORK,
        is_pytest=True,
    ),
    Suite(
        "django-filter",
        "26.2",
        settings="tests.settings",
        labels=("tests",),
        passing=503,
        digest="42bb24b4c1eb73b8",
        requirements=(
            "django-crispy-forms==2.7",
            "djangorestframework==3.18.3",
            "pytz==2025.2",
        ),
        spared=REST_FRAMEWORK,
    ),
    Suite(
        "django-tables2",
        "3.0.1",
        settings="tests.app.settings",
        labels=("tests",),
        passing=388,
        digest="f0e17e2bf8ee8a68",
        requirements=("lxml==6.1.3", "pytz==2025.2", "tablib[xls,yaml]==3.10.0"),
    ),
    Suite(
        "django-guardian",
        "3.5.2",
        settings="guardian.testapp.testsettings",
        # The rest meets no view.
        labels=(
            "guardian.testapp.tests.test_decorators",
            "guardian.testapp.tests.test_mixins",
        ),
        passing=65,
        digest="33c6f314a5396da1",
        requirements=("django-environ==0.14.0",),
    ),
    Suite(
        "django-braces",
        "1.17.0",
        settings="tests.settings",
        labels=("tests",),
        passing=213,
        digest="c8b06ea6eb5ac85e",
    ),
    Suite(
        "django-formtools",
        "2.7",
        settings="tests.settings",
        labels=("tests",),
        passing=99,
        digest="f95c5cdce3937e33",
    ),
)
