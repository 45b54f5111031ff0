"""The form of an order, with a line for each calendar, and that of a price."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms

from shop.models import WallCalendar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.forms.boundfield import BoundField

MOST_COPIES = 20
"""Copies of one calendar in one order."""


class OrderForm(forms.Form):
    """How many copies of each calendar. An empty line orders none.

    A valid form does not compare with the stock: by the time of the order the answer
    would be old. The order finds out, and `refuse()` adds the errors.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make a field for each calendar on sale. One query."""
        super().__init__(*args, **kwargs)
        self.calendars = {
            self.field_name(calendar.pk): calendar
            for calendar in WallCalendar.on_sale()
        }
        for name, calendar in self.calendars.items():
            self.fields[name] = forms.IntegerField(
                label=str(calendar), required=False, min_value=0, max_value=MOST_COPIES
            )

    @staticmethod
    def field_name(calendar: int | str) -> str:
        """The name of the field for the calendar with this key."""
        return f"calendar_{calendar}"

    @property
    def copies(self) -> dict[WallCalendar, int]:
        """The calendars that a valid form orders."""
        return {
            calendar: self.cleaned_data[name]
            for name, calendar in self.calendars.items()
            if self.cleaned_data.get(name)
        }

    def lines(self) -> Iterator[tuple[WallCalendar, BoundField]]:
        """Each calendar with its field."""
        for name, calendar in self.calendars.items():
            yield calendar, self[name]

    def clean(self) -> None:
        """One copy at least; beside an error, also the lines that the stock forbids.

        A form with errors never becomes an order, so nothing else reports these lines.
        """
        if self.errors:
            self.refuse(
                {
                    calendar: calendar.stock
                    for calendar, copies in self.copies.items()
                    if copies > calendar.stock
                }
            )
        elif not self.copies:
            raise forms.ValidationError("Order one calendar at least.", code="empty")

    def refuse(self, left: Mapping[WallCalendar, int]) -> None:
        """Tell at their lines of what calendars there are only so many `left`."""
        for calendar, count in left.items():
            self.calendars[self.field_name(calendar.pk)].stock = count
            self.add_error(
                self.field_name(calendar.pk),
                f"Of {calendar} only {count} {'is' if count == 1 else 'are'} left."
                if count
                else f"{calendar} is sold out.",
            )


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]
    """What one calendar costs; one of a formset."""

    class Meta:
        """The price alone."""

        model = WallCalendar
        fields: ClassVar = ["price"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Name the field after its calendar."""
        super().__init__(*args, **kwargs)
        price = self.fields["price"]
        price.label = str(self.instance)
        price.help_text = ""
        price.widget.attrs["min"] = "0.01"

    def clean_price(self) -> Decimal:
        """The price; nothing is given away."""
        price: Decimal = self.cleaned_data["price"]
        if price <= 0:
            raise forms.ValidationError("A calendar costs something.", code="free")
        return price

    def save(self, commit: bool = True) -> WallCalendar:
        """Write the price, and leave the stock to whoever orders meanwhile."""
        calendar: WallCalendar = super().save(commit=False)
        if commit:
            calendar.save(update_fields=["price"])
        return calendar
