"""A client that hangs up on a real server, in the middle of an answer to a POST."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading

import pytest
import uvicorn
from django.core.handlers.asgi import ASGIHandler
from django.test import RequestFactory, override_settings
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from tests.faults.leaks import leftovers_of
from tests.faults.visits import Create, Detail, Header, Locked, ShelfTestCase, Tail

SECONDS = 20


@pytest.mark.server
class HangUpTests(ShelfTestCase):
    def test_hang_up(self):
        for hook in ("aget_form", "aform_valid", "aget_success_url"):
            for mixins in ([], [Tail], [Header], [Locked]):
                with self.subTest(hook=hook, mixins=mixins):
                    self.hang_up(hook, *mixins)

    def hang_up(self, hook, *mixins):
        entered, left = threading.Event(), threading.Event()

        class Waiting:
            """Waits for what never comes, in place of the hook's own work."""

        async def wait(self, *args, **kwargs):
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                left.set()

        setattr(Waiting, hook, wait)
        patterns = (
            path("slow/", csrf_exempt(Create().view(*mixins, Waiting))),
            path("<int:pk>/", Detail().view()),
        )
        listening = socket.create_server(("127.0.0.1", 0))
        host, port = listening.getsockname()
        config = uvicorn.Config(ASGIHandler(), lifespan="off", log_config=None)
        # Now, as it reads files.
        config.load()
        server = uvicorn.Server(config)
        answers = []

        def client():
            sent = Create().request(RequestFactory(), self)
            hasty = http.client.HTTPConnection(host, port, timeout=SECONDS)
            headers = {"Content-Type": sent.META["CONTENT_TYPE"], "Host": "localhost"}
            hasty.request("POST", "/slow/", sent.body, headers)
            answers.append(entered.wait(SECONDS))
            hasty.close()
            answers.append(left.wait(SECONDS))
            # The server is none the worse.
            patient = http.client.HTTPConnection(host, port, timeout=SECONDS)
            patient.request("GET", f"/{self.book.pk}/", headers={"Host": "localhost"})
            answer = patient.getresponse()
            answers.append((answer.status, b"Tides" in answer.read()))
            patient.close()

        async def main():
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                await asyncio.to_thread(client)
            finally:
                server.should_exit = True
                await serving

        with override_settings(ROOT_URLCONF=patterns):
            self.assertEqual(leftovers_of(main), [])
        self.assertEqual(answers, [True, True, (200, True)])
        # It was left before its one save, or just after.
        saved = hook == "aget_success_url"
        done = Create().done(self, self.before)
        self.assertEqual(self.books(), done if saved else self.before)
        self.restore()
