"""What the examples of the documentation are tried with: a client, and what is said.

`tests.library` gives all of it to hidden blocks, and models.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import iscoroutinefunction
from types import ModuleType
from typing import Any
from unittest import TextTestRunner, defaultTestLoader, mock

from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import AsyncClient, RequestFactory, override_settings

from django_async_cbv import checks
from tests.hops import count_hops

__all__ = [
    "answer",
    "checked",
    "hops_of",
    "raised",
    "refusal",
    "routed",
    "run_tests",
]


class Site:
    """Django's AsyncClient for sync code: requests go through Django's ASGI handler."""

    def __init__(self) -> None:
        self.client = AsyncClient()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)
        return async_to_sync(method) if iscoroutinefunction(method) else method


@contextmanager
def routed(urlpatterns: list[Any], **settings: Any) -> Iterator[Site]:
    """Serve the URLs to a client."""
    urlconf = ModuleType("urls")
    urlconf.urlpatterns = urlpatterns  # type: ignore[attr-defined]
    with override_settings(ROOT_URLCONF=urlconf, **settings):
        yield Site()


def answer(view: Any, request: Any = None, **kwargs: Any) -> Any:
    """The answer of a view, or of a class of views, to a request by itself."""
    if isinstance(view, type):
        view = view.as_view()
    if request is None:
        request = RequestFactory().get("/")
    return async_to_sync(view)(request, **kwargs)


def hops_of(view: Any, request: Any = None, **kwargs: Any) -> int:
    """The hops of such an answer, without the rendering."""
    with count_hops() as hops:
        answer(view, request, **kwargs)
    return hops.count


def refusal(cls: Any, **initkwargs: Any) -> str:
    """What as_view() says of a class that it refuses."""
    try:
        cls.as_view(**initkwargs)
    except ImproperlyConfigured as error:
        return str(error)
    raise AssertionError(f"{cls} is not refused")


def raised(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """The traceback's last line for what a call raises."""
    try:
        function(*args, **kwargs)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError(f"{function} raised nothing")


def checked(urlpatterns: list[Any], imported: list[type] | None = None) -> str:
    """
    What `manage.py check` says of these URLs, after the first lines.

    `imported`: the view classes that no URL leads to; those of other pages and tests
    are left out.
    """
    said = io.StringIO()
    views = mock.patch.object(
        checks.urlconf, "imported_views", return_value=imported or []
    )
    with routed(urlpatterns), views:
        try:
            call_command("check", stdout=said, stderr=said, no_color=True)
        except SystemCheckError as error:
            said.write(str(error))
    return re.sub(r"(?s)^.*?(?=<class|\?: )", "", said.getvalue()).partition("\n\n")[0]


def run_tests(case: Any) -> int:
    """Run a TestCase that a page shows; the number of its tests, which all passed."""
    report = io.StringIO()
    result = TextTestRunner(report).run(defaultTestLoader.loadTestsFromTestCase(case))
    assert result.wasSuccessful(), report.getvalue()
    assert not result.skipped
    return result.testsRun
