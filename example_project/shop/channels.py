"""What happens in the shop, for the pages that show it at once.

A `LocalChannel` reaches the clients of one process. With several processes it has to be
a `PostgresChannel` or a `RedisChannel`; the rest stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_async_cbv.channels import LocalChannel

if TYPE_CHECKING:
    from shop.models import Order

news = LocalChannel()


def announce(order: Order) -> None:
    """Tell the shelf what is left, and the desk that there is an order.

    Call it after the commit: a rollback does not take a message back.
    """
    for line in order.lines.select_related("calendar"):
        left = {"calendar": line.calendar_id, "left": line.calendar.stock}
        news.publish("stock", left, event="stock")
    news.publish("orders", order.pk, event="order")
