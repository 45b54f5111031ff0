"""What an error handler of the project's gives, or raises, and who hears of it."""

from __future__ import annotations

import logging

from django.core.handlers.asgi import ASGIHandler
from django.core.signals import got_request_exception
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.test import SimpleTestCase, override_settings
from django.urls import path

from django_async_cbv.asgi import get_asgi_application
from tests.serve.driving import Client


async def missing(request):
    raise Http404


async def broken(request):
    raise ValueError


class Odd(HttpResponse):
    def render(self):
        self.content += b"!"
        return self


class Stock(ASGIHandler):
    """Django's, which leaves the file of the body open if an error handler raises."""

    async def read_body(self, receive):
        self.body = await super().read_body(receive)
        return self.body


class TestErrorPages(SimpleTestCase):
    async def compare(self, where, **handlers):
        routes = [path("missing/", missing), path("broken/", broken)]
        named = {name: staticmethod(one) for name, one in handlers.items()}
        urls = type("Urls", (), {"urlpatterns": routes, **named})
        heard = []

        def hear(**named):
            heard.append("got_request_exception")

        class Records(logging.Handler):
            def emit(self, record):
                heard.append((record.levelname, record.getMessage()))

        logger, handler = logging.getLogger("django.request"), Records()
        level = logger.level
        with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=[]):
            # First, because django.setup() configures the logging.
            apps = stock, _ = Stock(), get_asgi_application()
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        got_request_exception.connect(hear)
        found = []
        try:
            with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=[]):
                for app in apps:
                    heard.clear()
                    try:
                        answer = await Client(app).get(where)
                        what = (answer.status, answer.text)
                    except Exception as error:  # What it is, both have to agree on.
                        what = type(error)
                    found.append((what, [*heard]))
        finally:
            stock.body.close()
            got_request_exception.disconnect(hear)
            logger.removeHandler(handler)
            logger.setLevel(level)
        self.assertEqual(found[1], found[0])

    async def test_a_redirect_is_no_error_to_log(self):
        await self.compare(
            "/missing/", handler404=lambda _, exception: HttpResponseRedirect("/")
        )

    async def test_a_handler_that_fails_is_called_once(self):
        def fail(request):
            raise RuntimeError

        await self.compare("/broken/", handler500=fail)

    async def test_what_propagates_is_told_once(self):
        with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True):
            await self.compare("/broken/")

    async def test_a_page_is_no_response_of_the_view(self):
        await self.compare(
            "/missing/", handler404=lambda _, exception: Odd("odd", status=404)
        )
