"""Milliseconds and JSON dates, as the briefing shows them."""

import datetime as dt

from django import template

register = template.Library()


@register.filter
def seconds(milliseconds: int) -> str:
    """`1234` as `1.23 s`."""
    return f"{milliseconds / 1000:.2f} s"


@register.filter
def share(milliseconds: int, total: int) -> str:
    """Return the percentage of `total`."""
    return f"{100 * milliseconds / max(total, 1):.1f}"


@register.filter
def day(text: str) -> dt.date:
    """Return the date of a text such as `2027-01-22`."""
    return dt.date.fromisoformat(text)
