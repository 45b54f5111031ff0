"""How many hops a request costs, whole, where a server runs the event loop."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from unittest import mock
from urllib.parse import urlencode

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import AsyncClient, override_settings
from django.urls import path as route

from django_async_cbv.asgi import get_asgi_application
from tests import hop_table
from tests.catalogue import CATALOGUE, make_rows
from tests.concurrency import ServedTestCase
from tests.hops import count_hops
from tests.models import Author
from tests.serve.pages import Gone, Hears, SyncOnly, TemplateResponseMiddleware

TOKEN = "c" * 32
STARTPROJECT = settings.MIDDLEWARE
TEN_MORE = [*STARTPROJECT, *[f"{SyncOnly.__module__}.SyncOnly"] * 10]
TEMPLATE_RESPONSE = [
    *STARTPROJECT,
    f"{SyncOnly.__module__}.{TemplateResponseMiddleware.__name__}",
]
GONE, HEARS = (
    [f"{cls.__module__}.{cls.__name__}", *STARTPROJECT] for cls in (Gone, Hears)
)
GOOD, BAD = {"name": "Jane", "slug": "jane"}, {"name": "Jane", "slug": "not a slug"}


class Visit:
    """One request and what became of it: its hops in all, and its answer."""

    cookies = ""

    def __init__(self, path, method="GET", data=None):
        self.path = path
        self.method = method
        self.body = urlencode(data or {}).encode()
        self.hops = -1
        self.status = 0
        self.text = ""

    async def to(self, app):
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "path": self.path,
            "query_string": b"",
            "headers": [
                (b"host", b"testserver"),
                (b"cookie", f"csrftoken={TOKEN}; {self.cookies}".encode()),
                (b"x-csrftoken", TOKEN.encode()),
                (b"content-type", b"application/x-www-form-urlencoded"),
                (b"content-length", str(len(self.body)).encode()),
            ],
            "server": ("testserver", 80),
        }
        jobs = app.pool.statistics().jobs
        with count_hops() as hops:
            visitor = ApplicationCommunicator(app, scope)
            await visitor.send_input({"type": "http.request", "body": self.body})
            start = await visitor.receive_output(20)
            parts = [await visitor.receive_output(20)]
            while parts[-1].get("more_body"):
                parts.append(await visitor.receive_output(20))
            # The response is closed after its last byte.
            await visitor.wait(20)
        self.hops = hops.count
        # Each was a job of the pool, and no job was anything else.
        self.jobs = app.pool.statistics().jobs - jobs
        self.status = start["status"]
        self.text = b"".join(part.get("body", b"") for part in parts).decode()
        return self


@override_settings(ROOT_URLCONF="tests.serve.pages")
class TestHops(ServedTestCase):
    @pytest.fixture(autouse=True)
    def take(self, caplog):
        self.log = caplog

    def setUp(self):
        make_rows()
        cache.clear()

    async def client_logs_in(self):
        """Have all later visits come with the session of a user."""
        client = AsyncClient()
        await client.aforce_login(await User.objects.acreate_user("jane"))
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].OutputString()
        patched = mock.patch.object(Visit, "cookies", cookie.partition(";")[0])
        patched.start()
        self.addCleanup(patched.stop)

    async def visits(self, *visits, middleware=STARTPROJECT, warm=True):
        """Make the visits, each after one more that no one counts."""
        with override_settings(MIDDLEWARE=middleware):
            app = get_asgi_application()
        for visit in visits:
            if warm:
                await Visit(visit.path).to(app)
            await visit.to(app)
        return visits

    async def assert_hops(self, hops, *visits, status=None, **named):
        for visit in await self.visits(*visits, **named):
            with self.subTest(visit.method + visit.path):
                self.assertEqual(visit.hops, hops)
                self.assertEqual(visit.jobs, hops)
                self.assertEqual(visit.status, status or 200)

    @staticmethod
    def pages():
        return [
            Visit("/authors/"),
            Visit("/authors/ann/"),
            Visit("/years/"),
            Visit("/create/"),
            Visit("/create/", "POST", BAD),
            Visit("/djangos/"),
            Visit("/rendered/"),
        ]

    async def test_pages_are_one_hop_whole(self):
        await self.assert_hops(1, *self.pages())

    async def test_a_form_that_saves_is_one_hop(self):
        await self.assert_hops(1, Visit("/create/", "POST", GOOD), status=302)
        self.assertTrue(await Author.objects.filter(slug="jane").aexists())

    async def test_any_404_is_one_hop(self):
        await self.assert_hops(
            1,
            Visit("/nowhere/"),
            Visit("/nowhere/", "POST", GOOD),
            Visit("/authors/nobody/"),
            Visit("/missing/"),
            status=404,
        )

    async def test_ten_sync_middleware_more_cost_no_hop(self):
        await self.assert_hops(1, *self.pages(), middleware=TEN_MORE)
        await self.assert_hops(
            1, Visit("/nowhere/"), Visit("/missing/"), status=404, middleware=TEN_MORE
        )

    async def test_template_response_middleware_costs_no_hop(self):
        await self.assert_hops(1, *self.pages(), middleware=TEMPLATE_RESPONSE)
        await self.assert_hops(
            1, Visit("/nowhere/"), status=404, middleware=TEMPLATE_RESPONSE
        )

    async def test_a_plain_async_view_costs_none(self):
        await self.assert_hops(0, Visit("/awaited/"))

    async def test_an_async_override_costs_one_more_rendering_included(self):
        await self.assert_hops(
            2, Visit("/context-awaited/"), Visit("/object-awaited/ann/")
        )
        # Nothing comes before it that would need a worker.
        await self.assert_hops(1, Visit("/queryset-awaited/"))

    async def test_an_async_override_of_any_hook(self):
        """At most one more than before it, whichever of a list or a detail it is."""
        for cls, path in (("ListView", "/"), ("DetailView", "/ann/")):
            found = next(one for one in CATALOGUE if one.name == cls)
            entry = replace(found, attributes={"model": Author})
            hooks = [name for name in entry.hooks() if not name.startswith("_")]
            for name in [*hooks, "get"]:
                view = hop_table.made(entry, method=hop_table.async_override(name))
                urls = ModuleType("urls")
                pattern = "" if path == "/" else "<slug:slug>/"
                urls.urlpatterns = [route(pattern, view.as_view())]
                with override_settings(ROOT_URLCONF=urls):
                    (visit,) = await self.visits(Visit(path))
                with self.subTest(view=entry.name, hook=name):
                    self.assertEqual(visit.status, 200)
                    self.assertIn(visit.hops, {1, 2})

    async def test_an_async_override_with_sync_work_on_both_sides(self):
        """What comes before it, its super(), and the page: one more than that."""
        await self.assert_hops(3, Visit("/years-awaited/"))
        # The CSRF check reads the body, the form is validated, and saved.
        await self.assert_hops(3, Visit("/valid-awaited/", "POST", GOOD), status=302)

    async def test_an_async_view_that_raises(self):
        """The page is made and logged in one hop, where no middleware may change it."""
        await self.assert_hops(1, Visit("/awaited-missing/"), status=404)
        await self.assert_hops(1, Visit("/awaited-forbidden/"), status=403)
        # The query, which finds nothing, and the page.
        await self.assert_hops(2, Visit("/object-awaited/nobody/"), status=404)

    async def test_middleware_hears_of_what_an_async_view_raises(self):
        """In a hop of Django's; then come the page, and the log of what is sent."""
        await self.assert_hops(
            3, Visit("/awaited-missing/"), status=404, middleware=HEARS
        )

    async def test_the_log_waits_for_middleware_that_may_answer_otherwise(self):
        await self.assert_hops(
            2, Visit("/awaited-missing/"), status=410, middleware=GONE, warm=False
        )
        self.assertEqual([line.status_code for line in self.log.records], [410])
        # CommonMiddleware resolves the path with a slash, in the hop before the log.
        await self.assert_hops(3, Visit("/awaited-missing"), status=404)

    async def test_decorators_that_make_an_async_function(self):
        """Django's decorators do so with views of this package: the async chain."""
        # The session, in which nobody is.
        await self.assert_hops(1, Visit("/login-required/"), status=302)
        # The list and its page. The cache is asked on the event loop.
        await self.assert_hops(2, Visit("/cached/"), warm=False)
        # A page that is rendered already is rendered in a hop as well.
        await self.assert_hops(1, Visit("/cached/"), warm=False)
        # The form and the page; the CSRF check is left out.
        await self.assert_hops(2, Visit("/exempt/"))
        await self.assert_hops(2, Visit("/exempt/", "POST", BAD))
        await self.assert_hops(1, Visit("/exempt/", "POST", GOOD), status=302)
        await self.client_logs_in()
        # The session, the user, the decorator's test of it, the list, and its page.
        await self.assert_hops(5, Visit("/login-required/"))
