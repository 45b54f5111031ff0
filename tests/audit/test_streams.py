"""What the audit says of streams, and of hooks that a class inherits."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import RequestFactory, SimpleTestCase

from django_async_cbv.audit.hops import predict
from django_async_cbv.testing import count_hops
from django_async_cbv.views import AsyncTemplateView
from django_async_cbv.views.exports import CSVView
from django_async_cbv.views.streaming import LongPollView, Polled, ServerSentEventsView


class Events(ServerSentEventsView):
    async def events(self):
        yield "a"


class Limited(Events):
    limit_per_user = 1


class Prepared(Events):
    async def prepare(self):
        await User.objects.acount()


class Poll(LongPollView):
    async def poll(self, since):
        return Polled([])


class Export(CSVView):
    model = User
    fields = ["pk"]


class MemberMixin:
    def check_membership(self, group):
        return True

    def dispatch(self, request, *args, **kwargs):
        assert self.check_membership("group")
        return super().dispatch(request, *args, **kwargs)


class Page(MemberMixin, AsyncTemplateView):
    template_name = "page.html"

    async def aget_context_data(self, **kwargs):
        return await super().aget_context_data(**kwargs)


class StreamTests(SimpleTestCase):
    """The hops up to the start of the answer: the parts are no hops of the request."""

    def test_range(self):
        for view, hops in (
            (Events, (0, 0)),
            (Limited, (0, 1)),
            (Poll, (0, 0)),
            (Export, (0, 2)),
        ):
            with self.subTest(view):
                found = predict(view, "GET")
                self.assertEqual((found.low, found.high), hops)
                self.assertEqual((found.own, found.unknown), ([], []))

    async def test_range_against_a_run(self):
        for view in (Events, Poll, Export):
            with self.subTest(view):
                found = predict(view, "GET")
                async with count_hops() as hops:
                    response = await view.as_view()(RequestFactory().get("/"))
                response.close()
                self.assertLessEqual(found.low, hops.count)
                self.assertLessEqual(hops.count, found.high)

    def test_own_queries(self):
        [own] = predict(Prepared, "GET").own
        self.assertEqual(own.name, "acount")


class InheritedTests(SimpleTestCase):
    def test_a_hook_of_a_mixin_is_known(self):
        found = predict(Page, "GET")
        self.assertEqual(found.unknown, [])
        self.assertIn((MemberMixin, "check_membership"), found.reached)
