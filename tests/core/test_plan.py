"""What a class is planned to run: Django's functions, or bodies of this package."""

from __future__ import annotations

import gc
import weakref
from unittest import mock

from django.views.generic import list as django_list

from django_async_cbv import views
from django_async_cbv.core.hooks import TWINS
from django_async_cbv.core.twins import plan_of


class Sync(views.AsyncListView):
    pass


class Lifted(views.AsyncListView):
    async def aget_ordering(self):
        return await super().aget_ordering()


def choice(cls, method):
    return plan_of(cls).choice(TWINS[method])


class TestPlan:
    def test_nothing_async_is_djangos_own_code(self):
        get = choice(Sync, django_list.BaseListView.get)
        assert not get.lifted
        assert get.function is django_list.BaseListView.get

    def test_what_is_above_an_async_hook_is_lifted(self):
        assert choice(Lifted, django_list.BaseListView.get).lifted
        assert choice(Lifted, django_list.MultipleObjectMixin.get_queryset).lifted
        below = choice(Lifted, django_list.MultipleObjectMixin.get_context_data)
        assert not below.lifted

    def test_it_is_made_once(self):
        assert plan_of(Sync, verify=True) is plan_of(Sync, verify=True)

    def test_it_is_made_anew_when_a_class_is_patched(self):
        class View(views.AsyncListView):
            pass

        before = plan_of(View, verify=True)

        async def aget_queryset(self):
            pass

        with mock.patch.object(View, "aget_queryset", aget_queryset, create=True):
            assert plan_of(View, verify=True).is_async("get_queryset")
        after = plan_of(View, verify=True)
        assert after is not before
        assert not after.is_async("get_queryset")

    def test_it_goes_with_its_class(self):
        class View(views.AsyncListView):
            async def aget_queryset(self):
                pass

        View.as_view()
        gone = weakref.ref(View)
        del View
        gc.collect()
        assert gone() is None
