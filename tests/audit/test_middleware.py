"""What middleware costs: each prediction is compared with requests that are served."""

from __future__ import annotations

import asyncio
import os
import random

from django.core.handlers.asgi import ASGIHandler
from django.template import engines
from django.test import SimpleTestCase, override_settings

from django_async_cbv.asgi import get_asgi_application
from django_async_cbv.audit.middleware import chain_of, djangos_hops, middleware
from tests.audit import chains
from tests.hops import count_hops
from tests.serve.chain import Request, visit

# The label `long` tries more.
CHAINS = int(os.environ.get("AUDIT_CHAINS", "40"))


def measured(app, path):
    async def serve():
        with count_hops() as hops:
            answer = await visit(app, Request(path))
        assert answer.status == 200, (path, answer)
        return hops.count

    return asyncio.run(serve())


@override_settings(ROOT_URLCONF="tests.audit.chains")
class TestChains(SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # It imports its libraries, for which the event loop is no place.
        assert engines["django"]

    def test_random_chains(self):
        drawn = random.Random(13)
        for number in range(CHAINS):
            paths = chains.chain(drawn)
            with (
                self.subTest(number, middleware=paths),
                override_settings(MIDDLEWARE=paths),
            ):
                self.compare(paths)

    def compare(self, paths):
        found = middleware()
        chain = chain_of(found)
        app = ASGIHandler()
        own = djangos_hops()
        self.assertEqual(measured(app, "/awaited/"), chain.hops + own)
        self.assertEqual(measured(app, "/plain/"), chain.around_sync_view() + own)
        rendered = chain.hops + chain.rendered + 1
        self.assertEqual(measured(app, "/rendered/"), rendered + own)
        chain = chain_of(found, is_ours=True)
        app = get_asgi_application()
        self.assertEqual(measured(app, "/awaited/"), chain.hops)
        self.assertEqual(measured(app, "/plain/"), chain.around_sync_view())
        rendered = chain.hops + chain.rendered + 1
        self.assertEqual(measured(app, "/rendered/"), rendered)
