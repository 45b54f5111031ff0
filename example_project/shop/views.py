"""The shop: what is on the shelf, an order in one transaction, one's own orders.

And the desk behind it, for the staff: all orders, and what a calendar costs. Shelf and
desk change while somebody looks at them: each has a view that sends what happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse_lazy
from django_async_cbv.auth.mixins import AsyncPermissionRequiredMixin
from django_async_cbv.db import aatomic
from django_async_cbv.sync import run_sync
from django_async_cbv.views import (
    AsyncDetailView,
    AsyncFormView,
    AsyncListView,
    AsyncModelFormSetView,
)
from django_async_cbv.views.streaming import ChannelView

from shop.channels import announce, news
from shop.forms import OrderForm, PriceForm
from shop.models import Order, WallCalendar
from shop.orders import SoldOut, place

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpResponse


class Shelf(AsyncListView[WallCalendar]):
    """The calendars that are printed, and how many are left."""

    def get_queryset(self) -> QuerySet[WallCalendar]:
        """Those that are not of a year gone by."""
        return WallCalendar.on_sale()


class Stock(ChannelView):
    """How many copies are left, as they are sold: what the shelf listens to."""

    channel = news
    topics = ("stock",)


class OrderCreate(LoginRequiredMixin, AsyncFormView[OrderForm]):
    """An order of several calendars: all of them, or none."""

    template_name = "shop/order_form.html"
    form_class = OrderForm

    def get_initial(self) -> dict[str, Any]:
        """One copy of the calendar that the link named."""
        return {OrderForm.field_name(self.request.GET.get("calendar", "")): 1}

    async def aform_valid(self, form: OrderForm) -> HttpResponse:
        """Place the order; where a line can't be had, keep nothing and say which."""
        buyer = await self.request.auser()
        assert isinstance(buyer, User), "LoginRequiredMixin has seen to it"
        try:
            async with aatomic():
                self.order = await place(buyer, form.copies)
                # After the commit, because a commit can fail too.
                await run_sync(transaction.on_commit, self.confirm)
        except SoldOut as error:
            form.refuse(error.left)
            return await self.aform_invalid(form)
        return await super().aform_valid(form)

    def confirm(self) -> None:
        """Say that the order is placed: to the buyer, and to the open pages."""
        messages.success(
            self.request, f"{self.order} is placed. The post will bring it."
        )
        announce(self.order)

    def get_success_url(self) -> str:
        """The page of the order."""
        return self.order.get_absolute_url()


class OwnOrders(LoginRequiredMixin):
    """Knows of one's own orders only: another's is not found."""

    async def aget_queryset(self) -> QuerySet[Order]:
        """The orders of whoever asks, with all that their pages show."""
        orders: QuerySet[Order] = await super().aget_queryset()  # type: ignore[misc]
        buyer = await self.request.auser()  # type: ignore[attr-defined]
        return orders.filter(buyer_id=buyer.pk).prefetch_related(
            "lines__calendar__country"
        )


class OrderList(OwnOrders, AsyncListView[Order]):
    """One's own orders, the latest first."""

    model = Order
    paginate_by = 20


class OrderDetail(OwnOrders, AsyncDetailView[Order]):
    """One order, line by line."""

    model = Order


class Staff(AsyncPermissionRequiredMixin):
    """Lets the staff in that may do what the page is for; all others get a 403."""

    permission_denied_message = "This page is for those who work here."

    async def ahas_permission(self) -> bool:
        """Whether it is one of the staff, with the permission that the page needs."""
        user = await self.request.auser()
        return (
            isinstance(user, User) and user.is_staff and await super().ahas_permission()
        )


class Desk(Staff, AsyncListView[Order]):
    """Everybody's orders, the latest first."""

    permission_required = "shop.view_order"
    queryset = Order.objects.select_related("buyer").prefetch_related(
        "lines__calendar__country"
    )
    template_name = "shop/desk.html"
    paginate_by = 20


class DeskNews(Staff, ChannelView):
    """That an order came in: what the desk listens to, with the desk's permission."""

    permission_required = "shop.view_order"
    channel = news
    topics = ("orders",)


class Prices(Staff, AsyncModelFormSetView[WallCalendar]):
    """What the calendars cost: a formset, of which all is saved or nothing."""

    permission_required = "shop.change_wallcalendar"
    form_class = PriceForm
    factory_kwargs = {"extra": 0, "edit_only": True}
    template_name = "shop/prices.html"
    success_url = reverse_lazy("shop:prices")

    def get_queryset(self) -> QuerySet[WallCalendar]:
        """The calendars on sale."""
        return WallCalendar.on_sale()

    async def aformset_valid(self, formset: Any) -> HttpResponse:
        """Save, and say how many were changed."""
        response: HttpResponse = await super().aformset_valid(formset)
        count = len(formset.changed_objects)
        messages.success(
            self.request,
            f"{count} price{'' if count == 1 else 's'} changed. "
            "What is ordered already costs what it did.",
        )
        return response
