"""How an order takes its calendars from the shelf."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from django.db.models import F

from shop.models import Order, OrderLine, WallCalendar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.contrib.auth.models import User


class SoldOut(Exception):
    """There are not as many copies as were ordered; `left` says how many there are."""

    def __init__(self, left: Mapping[WallCalendar, int]) -> None:
        super().__init__(", ".join(f"{count} of {it}" for it, count in left.items()))
        self.left = left


async def place(buyer: User, copies: Mapping[WallCalendar, int]) -> Order:
    """Write an order and its lines, and take `copies` of each calendar from the stock.

    It writes as it goes, so call it in a transaction. Raises SoldOut, which names every
    calendar that there are too few of: let it roll the transaction back.
    """
    order = await Order.objects.acreate(buyer=buyer)
    lines = []
    left = {}
    # Sorted by key. If two orders lock the same rows, one waits for the other, and no
    # deadlock occurs.
    for calendar in sorted(copies, key=attrgetter("pk")):
        row = WallCalendar.objects.filter(pk=calendar.pk)
        wanted = copies[calendar]
        # One statement reads and updates, so that no other order comes between.
        if await row.filter(stock__gte=wanted).aupdate(stock=F("stock") - wanted):
            line = OrderLine(
                order=order, calendar=calendar, copies=wanted, price=calendar.price
            )
            lines.append(line)
        else:
            left[calendar] = await row.values_list("stock", flat=True).afirst() or 0
    if left:
        raise SoldOut(left)
    await OrderLine.objects.abulk_create(lines)
    return order
