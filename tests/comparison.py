"""Send a request to Django's sync view and to ours; compare all that comes of it."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from django.apps import apps
from django.core.management.color import no_style
from django.db import connection, transaction
from django.test import TestCase, override_settings
from django.urls import include, path
from django.views import View, generic

from django_async_cbv import views as our_views

__all__ = ["ComparisonTestCase", "Outcome", "Sent", "rows", "stored_files", "variants"]

# Where the view under test is: its patterns stay, since each resolver of its own would
# leave context variables behind.
urlpatterns = [
    path("subject/", View.as_view()),
    path("subject/<int:pk>/", View.as_view()),
    path("subject/<slug:slug>/", View.as_view()),
    path("", include("tests.app.urls")),
]


@dataclass(frozen=True)
class Sent:
    """A request: to `/subject/`, or `/subject/<pk>/` when there is a `pk`."""

    method: str = "get"
    data: Any = None
    pk: Any = None
    # Further arguments of the test client's method, `content_type` for one.
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return "/subject/" if self.pk is None else f"/subject/{self.pk}/"

    def by(self, client: Any) -> Any:
        """Send it; returns what the client's method does, a response or a coroutine."""
        if isinstance(self.data, dict):
            for value in self.data.values():
                if hasattr(value, "seek"):
                    value.seek(0)
        return getattr(client, self.method)(self.url, self.data, **self.options)


@dataclass(frozen=True)
class Outcome:
    """All that a request leads to."""

    error: tuple[type, str] | None
    status: int | None = None
    headers: dict[str, str] | None = None
    cookies: str | None = None
    content: str | None = None
    templates: list[str] | None = None
    # None when the view raised: the database may then refuse to be read until the
    # transaction around the test is rolled back.
    rows: dict[str, list[dict[str, Any]]] | None = None
    files: dict[str, bytes] | None = None

    def of(self, model: type) -> list[dict[str, Any]]:
        """The rows of one model."""
        assert self.rows is not None
        return self.rows[model._meta.label]


def variants(
    name: str, mixin: type | None = None, amixin: type | None = None, **attributes: Any
) -> list[type]:
    """
    Django's view of that name, ours, and ours with an async override.

    `mixin` has the sync overrides and stands before Django's view and before ours;
    `amixin` says the same in async ones.
    """
    django, ours = getattr(generic, name), getattr(our_views, f"Async{name}")
    bases = [(django, mixin), (ours, mixin)]
    if amixin is not None:
        bases.append((ours, amixin))
    return [
        type("Subject", (base,) if first is None else (first, base), dict(attributes))
        for base, first in bases
    ]


def rows() -> dict[str, list[dict[str, Any]]]:
    """Every row of the test app, many-to-many tables too."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_app_config("app").get_models(include_auto_created=True):
            # Not by the ORM, which takes as long as the request that is looked at.
            cursor.execute(f"SELECT * FROM {model._meta.db_table} ORDER BY 1")
            names = [column[0] for column in cursor.description]
            found[model._meta.label] = [
                dict(zip(names, row, strict=True)) for row in cursor.fetchall()
            ]
    return found


def stored_files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path in there."""
    return {
        str(found.relative_to(folder)): found.read_bytes()
        for found in sorted(folder.rglob("*"))
        if found.is_file()
    }


class Undo(Exception):
    """Leaves an atomic block so that it is rolled back."""


@asynccontextmanager
async def rolled_back():
    """Undo, in the test's own connection, whatever the block writes."""
    atomic = transaction.atomic()
    await sync_to_async(atomic.__enter__)()
    try:
        yield
    finally:
        await sync_to_async(atomic.__exit__)(Undo, Undo(), None)


class ComparisonTestCase(TestCase):
    """Compares views; each request meets the rows of setUpTestData() and no files."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        media = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.media = Path(media)
        cls.enterClassContext(override_settings(ROOT_URLCONF=__name__))
        cls.enterClassContext(override_settings(MEDIA_ROOT=media))

    async def assertSame(self, views: list[type], sent: Sent) -> Outcome:
        """
        Return what came of the request, by each view and client the same.

        The first view, Django's own, is asked by the sync test client, and so says
        what is right. The others are asked by the sync and by the async client.
        """
        django, *ours = views
        expected = await self.ask(django, sent, asynchronous=False)
        for view in ours:
            for asynchronous in (False, True):
                got = await self.ask(view, sent, asynchronous=asynchronous)
                bases = [base.__qualname__ for base in view.__bases__]
                told = f"{sent} to {bases}, {asynchronous=}"
                for part in fields(Outcome):
                    self.assertEqual(
                        getattr(got, part.name), getattr(expected, part.name), told
                    )
        return expected

    async def ask(self, view: type, sent: Sent, *, asynchronous: bool) -> Outcome:
        if urlpatterns[0].callback.view_class is not view:
            served = view.as_view()
            for pattern in urlpatterns[:-1]:
                pattern.callback = served
        async with rolled_back():
            await sync_to_async(self._reset)()
            try:
                if asynchronous:
                    response = await sent.by(self.async_client)
                else:
                    response = await sync_to_async(sent.by)(self.client)
            except Exception as error:
                return Outcome(error=(type(error), str(error)))
            return await sync_to_async(self._observe)(response)

    def _reset(self) -> None:
        """Let no run see an id or a file that another has used."""
        models = apps.get_app_config("app").get_models(include_auto_created=True)
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), models):
                cursor.execute(statement)
        for found in self.media.iterdir():
            shutil.rmtree(found)

    def _observe(self, response: Any) -> Outcome:
        return Outcome(
            error=None,
            status=response.status_code,
            headers=dict(response.headers),
            cookies=response.cookies.output(),
            content=response.content.decode(),
            templates=[template.name for template in response.templates],
            rows=rows(),
            files=stored_files(self.media),
        )
