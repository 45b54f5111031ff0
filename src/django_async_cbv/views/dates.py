"""Async variants of the date-based views and their mixins."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import DateTimeField, QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.generic import dates

from ..core import handlers as handler
from ..core.flow import Answer, Calls, call
from ..core.hooks import SUPER
from ..core.twins import TwinMixin, twin, twin_or_hook
from . import _django
from ._django import _M
from .base import AsyncView
from .detail import AsyncBaseDetailView, AsyncSingleObjectTemplateResponseMixin
from .list import AsyncMultipleObjectMixin, AsyncMultipleObjectTemplateResponseMixin

# For what is private in Django, and so not in its stubs.
_private: Any = dates

if TYPE_CHECKING:
    from django.db.models.query import _OrderByFieldName

    from ._django import _DatedItems

__all__ = [
    "AsyncArchiveIndexView",
    "AsyncBaseArchiveIndexView",
    "AsyncBaseDateDetailView",
    "AsyncBaseDateListView",
    "AsyncBaseDayArchiveView",
    "AsyncBaseMonthArchiveView",
    "AsyncBaseTodayArchiveView",
    "AsyncBaseWeekArchiveView",
    "AsyncBaseYearArchiveView",
    "AsyncDateDetailView",
    "AsyncDateMixin",
    "AsyncDayArchiveView",
    "AsyncDayMixin",
    "AsyncMonthArchiveView",
    "AsyncMonthMixin",
    "AsyncTodayArchiveView",
    "AsyncWeekArchiveView",
    "AsyncWeekMixin",
    "AsyncYearArchiveView",
    "AsyncYearMixin",
]

# What _next_or_previous() calls on the view, for any period but the week.
_NEIGHBOURS = (
    "get_date_field",
    "get_allow_empty",
    "get_allow_future",
    "get_queryset",
    "_make_date_lookup_arg",
)


# Django's functions, which subclasses and tests may replace in their class.
_USES_DATETIME_FIELD = dates.DateMixin.uses_datetime_field
_make_date_lookup_arg = _private.DateMixin._make_date_lookup_arg

_WEEK_NEIGHBOURS = (*_NEIGHBOURS, "_get_current_week", "_get_next_week")


def _is_given(part: str) -> Any:
    """Whether the view has a year, for example. If not, Django translates a 404."""

    def is_given(view: Any) -> bool:
        return (
            getattr(view, part) is not None
            or part in view.kwargs
            or part in view.request.GET
        )

    return is_given


class AsyncYearMixin(dates.YearMixin, TwinMixin):
    """Async variant of `YearMixin`."""

    @twin(dates.YearMixin.get_year_format, pure=True)
    async def aget_year_format(self) -> str:
        """
        Return the format of the year in the URL.

        Async variant of `get_year_format()`.
        """

    @twin(dates.YearMixin.get_year, pure=_is_given("year"))
    async def aget_year(self) -> str:
        """
        Return the year to show, as the URL writes it.

        Async variant of `get_year()`.
        """

    @twin(dates.YearMixin.get_next_year, calls=_NEIGHBOURS)
    def aget_next_year(self, date: datetime.date) -> Calls[datetime.date | None]:
        """
        Return the next year. None if there is none.

        Async variant of `get_next_year()`.
        """
        return (yield from _neighbour(self, date, is_previous=False, period="year"))

    @twin(dates.YearMixin.get_previous_year, calls=_NEIGHBOURS)
    def aget_previous_year(self, date: datetime.date) -> Calls[datetime.date | None]:
        """
        Return the previous year. None if there is none.

        Async variant of `get_previous_year()`.
        """
        return (yield from _neighbour(self, date, is_previous=True, period="year"))


class AsyncMonthMixin(dates.MonthMixin, TwinMixin):
    """Async variant of `MonthMixin`."""

    @twin(dates.MonthMixin.get_month_format, pure=True)
    async def aget_month_format(self) -> str:
        """
        Return the format of the month in the URL.

        Async variant of `get_month_format()`.
        """

    @twin(dates.MonthMixin.get_month, pure=_is_given("month"))
    async def aget_month(self) -> str:
        """
        Return the month to show, as the URL writes it.

        Async variant of `get_month()`.
        """

    @twin(dates.MonthMixin.get_next_month, calls=_NEIGHBOURS)
    def aget_next_month(self, date: datetime.date) -> Calls[datetime.date | None]:
        """
        Return the next month. None if there is none.

        Async variant of `get_next_month()`.
        """
        return (yield from _neighbour(self, date, is_previous=False, period="month"))

    @twin(dates.MonthMixin.get_previous_month, calls=_NEIGHBOURS)
    def aget_previous_month(self, date: datetime.date) -> Calls[datetime.date | None]:
        """
        Return the previous month. None if there is none.

        Async variant of `get_previous_month()`.
        """
        return (yield from _neighbour(self, date, is_previous=True, period="month"))


class AsyncDayMixin(dates.DayMixin, TwinMixin):
    """Async variant of `DayMixin`."""

    @twin(dates.DayMixin.get_day_format, pure=True)
    async def aget_day_format(self) -> str:
        """
        Return the format of the day in the URL.

        Async variant of `get_day_format()`.
        """

    @twin(dates.DayMixin.get_day, pure=_is_given("day"))
    async def aget_day(self) -> str:
        """
        Return the day to show, as the URL writes it.

        Async variant of `get_day()`.
        """

    @twin(dates.DayMixin.get_next_day, calls=_NEIGHBOURS)
    def aget_next_day(self, date: datetime.date) -> Calls[datetime.date | None]:
        """
        Return the next day. None if there is none.

        Async variant of `get_next_day()`.
        """
        return (yield from _neighbour(self, date, is_previous=False, period="day"))

    @twin(dates.DayMixin.get_previous_day, calls=_NEIGHBOURS)
    def aget_previous_day(self, date: datetime.date) -> Calls[datetime.date | None]:
        """
        Return the previous day. None if there is none.

        Async variant of `get_previous_day()`.
        """
        return (yield from _neighbour(self, date, is_previous=True, period="day"))


class AsyncWeekMixin(dates.WeekMixin, TwinMixin):
    """Async variant of `WeekMixin`."""

    @twin(dates.WeekMixin.get_week_format, pure=True)
    async def aget_week_format(self) -> str:
        """
        Return the format of the week in the URL.

        Async variant of `get_week_format()`.
        """

    @twin(dates.WeekMixin.get_week, pure=_is_given("week"))
    async def aget_week(self) -> str:
        """
        Return the week to show, as the URL writes it.

        Async variant of `get_week()`.
        """

    @twin(dates.WeekMixin.get_next_week, calls=_WEEK_NEIGHBOURS)
    def aget_next_week(self, date: datetime.date) -> Calls[datetime.date | None]:
        """
        Return the next week. None if there is none.

        Async variant of `get_next_week()`.
        """
        return (yield from _neighbour(self, date, is_previous=False, period="week"))

    @twin(dates.WeekMixin.get_previous_week, calls=_WEEK_NEIGHBOURS)
    def aget_previous_week(self, date: datetime.date) -> Calls[datetime.date | None]:
        """
        Return the previous week. None if there is none.

        Async variant of `get_previous_week()`.
        """
        return (yield from _neighbour(self, date, is_previous=True, period="week"))

    # The week format decides on which day a week begins, so Django calls a hook here.

    @twin(_private.WeekMixin._get_next_week, calls=("_get_weekday",))
    def _aget_next_week(self, date: datetime.date) -> Calls[datetime.date]:
        days = 7 - (yield call(self._aget_weekday, date))
        try:
            return date + datetime.timedelta(days=days)
        except OverflowError:
            raise Http404(_("Date out of range")) from None

    @twin(_private.WeekMixin._get_current_week, calls=("_get_weekday",))
    def _aget_current_week(self, date: datetime.date) -> Calls[datetime.date]:
        return date - datetime.timedelta((yield call(self._aget_weekday, date)))

    @twin(_private.WeekMixin._get_weekday, calls=("get_week_format",))
    def _aget_weekday(self, date: datetime.date) -> Calls[int]:
        week_format = yield call(self.aget_week_format)
        if week_format in {"%W", "%V"}:  # begins on Monday
            return date.weekday()
        if week_format == "%U":  # begins on Sunday
            return (date.weekday() + 1) % 7
        raise ValueError(f"unknown week format: {week_format}")


class AsyncDateMixin(dates.DateMixin, TwinMixin):
    """Async variant of `DateMixin`."""

    @twin(dates.DateMixin.get_date_field, pure=True)
    async def aget_date_field(self) -> str:
        """
        Return the name of the field with the date.

        Async variant of `get_date_field()`.
        """

    @twin(dates.DateMixin.get_allow_future, pure=True)
    async def aget_allow_future(self) -> bool:
        """
        Return whether the view shows objects of the future.

        Async variant of `get_allow_future()`.
        """

    @twin(
        _private.DateMixin._make_date_lookup_arg,
        calls=("get_queryset", "get_date_field"),
    )
    def _amake_date_lookup_arg(self, value: datetime.date) -> Calls[datetime.date]:
        # The view has cached the answer now, so Django's method calls no hook.
        yield from _uses_datetime_field(self)
        made: datetime.date = _make_date_lookup_arg(self, value)
        return made

    @twin(
        _private.DateMixin._make_single_date_lookup,
        calls=("get_date_field", "get_queryset", "_make_date_lookup_arg"),
    )
    def _amake_single_date_lookup(self, date: datetime.date) -> Calls[dict[str, Any]]:
        date_field = yield call(self.aget_date_field)
        if not (yield from _uses_datetime_field(self)):
            return {date_field: date}
        next_day = date + datetime.timedelta(days=1)
        return {
            f"{date_field}__gte": (yield call(self._amake_date_lookup_arg, date)),
            f"{date_field}__lt": (yield call(self._amake_date_lookup_arg, next_day)),
        }


def _uses_datetime_field(view: Any) -> Calls[bool]:
    """As DateMixin.uses_datetime_field, and cached by its name, by way of the twins."""
    name = "uses_datetime_field"
    if name not in vars(view):
        if getattr(type(view), name) is not _USES_DATETIME_FIELD:
            return bool((yield call(getattr, view, name)))
        model = view.model
        if model is None:
            model = (yield call(twin_or_hook(view, "get_queryset"))).model
        field = model._meta.get_field((yield call(view.aget_date_field)))
        view.uses_datetime_field = isinstance(field, DateTimeField)
    return bool(vars(view)[name])


def _neighbour(
    view: Any, date: datetime.date, *, is_previous: bool, period: str
) -> Calls[datetime.date | None]:
    """The next or previous date with a page, as Django's _get_next_prev() finds it."""
    date_field = yield call(twin_or_hook(view, "get_date_field"))
    allow_empty = yield call(twin_or_hook(view, "get_allow_empty"))
    allow_future = yield call(twin_or_hook(view, "get_allow_future"))
    get_current = twin_or_hook(view, f"_get_current_{period}")
    get_next = twin_or_hook(view, f"_get_next_{period}")
    start = yield call(get_current, date)
    end = yield call(get_next, date)

    result: datetime.date
    if allow_empty:
        result = end
        if is_previous:
            result = yield call(get_current, start - datetime.timedelta(days=1))
        return result if allow_future or result <= dates.timezone_today() else None

    make_lookup = twin_or_hook(view, "_make_date_lookup_arg")
    if is_previous:
        lookup = {f"{date_field}__lt": (yield call(make_lookup, start))}
        ordering = f"-{date_field}"
    else:
        lookup = {f"{date_field}__gte": (yield call(make_lookup, end))}
        ordering = date_field
    has_time = yield from _uses_datetime_field(view)
    if not allow_future:
        now = timezone.now() if has_time else dates.timezone_today()
        lookup[f"{date_field}__lte"] = now
    queryset = yield call(twin_or_hook(view, "get_queryset"))
    found = yield call(_first_value, queryset, lookup, ordering, date_field)
    if found is None:
        return None
    if has_time:
        found = (timezone.localtime(found) if settings.USE_TZ else found).date()
    result = yield call(get_current, found)
    return result


def _first_value(
    queryset: QuerySet[Any], lookup: dict[str, Any], ordering: str, name: str
) -> Any:
    try:
        return getattr(queryset.filter(**lookup).order_by(ordering)[0], name)
    except IndexError:
        return None


_DATED = ("get_dated_queryset", "get_date_list")


class AsyncBaseDateListView(
    _django.BaseDateListView[_M],
    AsyncMultipleObjectMixin[_M],
    AsyncDateMixin,
    AsyncView,
):
    """Async variant of `BaseDateListView`, without a response mixin."""

    object_list: Any
    date_list: Any

    @handler.get(
        dates.BaseDateListView.get,
        calls=("get_dated_items", "get_context_data", "render_to_response"),
    )
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Answer:
        """Answer with the page of the dates and objects."""
        self.date_list, self.object_list, extra_context = yield call(
            self.aget_dated_items
        )
        context = yield call(
            self.aget_context_data,
            object_list=self.object_list,
            date_list=self.date_list,
            **extra_context,
        )
        return (yield call(twin_or_hook(self, "render_to_response"), context))

    @twin(dates.BaseDateListView.get_dated_items)
    async def aget_dated_items(self) -> _DatedItems[_M]:
        """
        Return the dates, the objects, and more context.

        Async variant of `get_dated_items()`.
        """

    @twin(dates.BaseDateListView.get_ordering, calls=("get_date_field",), pure=True)
    def aget_ordering(self) -> Calls[str | Sequence[_OrderByFieldName]]:
        """
        Return the field or fields to order by. The default is the date.

        Async variant of `get_ordering()`.
        """
        if self.ordering is not None:
            return self.ordering
        return f"-{(yield call(self.aget_date_field))}"

    @twin(
        dates.BaseDateListView.get_dated_queryset,
        calls=(
            "get_queryset",
            "get_date_field",
            "get_allow_future",
            "get_allow_empty",
            "get_paginate_by",
        ),
    )
    def aget_dated_queryset(self, **lookup: Any) -> Calls[QuerySet[_M]]:
        """
        Return the objects that the lookup finds.

        Async variant of `get_dated_queryset()`.

        Raises:
            Http404: If there are none, and `allow_empty` is False.
        """
        queryset = yield call((yield call(self.aget_queryset)).filter, **lookup)
        date_field = yield call(self.aget_date_field)
        allow_future = yield call(self.aget_allow_future)
        allow_empty = yield call(self.aget_allow_empty)
        paginate_by = yield call(self.aget_paginate_by, queryset)
        if not allow_future:
            has_time = yield from _uses_datetime_field(self)
            now = timezone.now() if has_time else dates.timezone_today()
            queryset = yield call(queryset.filter, **{f"{date_field}__lte": now})
        if not allow_empty:
            # As Django does: with pages, exists() loads no whole list.
            is_empty = not (
                yield call(bool, queryset)
                if paginate_by is None
                else call(queryset.exists)
            )
            if is_empty:
                raise _none_available(queryset)
        return queryset

    @twin(dates.BaseDateListView.get_date_list_period, pure=True)
    async def aget_date_list_period(self) -> str:
        """
        Return the period of the list of dates: 'year', 'month' or 'day'.

        Async variant of `get_date_list_period()`.
        """

    @twin(
        dates.BaseDateListView.get_date_list,
        calls=(
            "get_date_field",
            "get_allow_empty",
            "get_date_list_period",
            "get_queryset",
        ),
    )
    def aget_date_list(
        self,
        queryset: QuerySet[_M],
        date_type: str | None = None,
        ordering: str = "ASC",
    ) -> Calls[QuerySet[_M]]:
        """
        Return the dates that have objects.

        Async variant of `get_date_list()`.

        Raises:
            Http404: If there are none, and `allow_empty` is False.
        """
        date_field = yield call(self.aget_date_field)
        allow_empty = yield call(self.aget_allow_empty)
        if date_type is None:
            date_type = yield call(self.aget_date_list_period)
        has_time = yield from _uses_datetime_field(self)
        find = queryset.datetimes if has_time else queryset.dates
        date_list = yield call(find, date_field, date_type, ordering)
        is_checked = date_list is not None and not allow_empty
        if is_checked and not (yield call(bool, date_list)):
            raise _none_available(queryset)
        return date_list


def _none_available(queryset: QuerySet[Any]) -> Http404:
    names = queryset.model._meta.verbose_name_plural
    return Http404(
        _("No %(verbose_name_plural)s available") % {"verbose_name_plural": names}
    )


class AsyncBaseArchiveIndexView(
    _django.BaseArchiveIndexView, AsyncBaseDateListView[_M]
):
    """Async variant of `BaseArchiveIndexView`: an archive, without a response mixin."""

    context_object_name: str

    @twin(dates.BaseArchiveIndexView.get_dated_items, calls=_DATED)
    def aget_dated_items(self) -> Calls[_DatedItems[_M]]:
        """
        Return the years, the latest objects, and no other context.

        Async variant of `get_dated_items()`.
        """
        queryset = yield call(self.aget_dated_queryset)
        date_list = yield call(self.aget_date_list, queryset, ordering="DESC")
        if not (yield call(bool, date_list)):
            queryset = yield call(queryset.none)
        return date_list, queryset, {}


class AsyncArchiveIndexView(
    _django.ArchiveIndexView,
    AsyncMultipleObjectTemplateResponseMixin,
    AsyncBaseArchiveIndexView[_M],
):
    """Async variant of `ArchiveIndexView`: the front page of an archive."""


class AsyncBaseYearArchiveView(
    _django.BaseYearArchiveView, AsyncYearMixin, AsyncBaseDateListView[_M]
):
    """Async variant of `BaseYearArchiveView`: a year, without a response mixin."""

    @twin(
        dates.BaseYearArchiveView.get_dated_items,
        calls=(
            "get_year",
            "get_date_field",
            "get_year_format",
            "_make_date_lookup_arg",
            *_DATED,
            "get_make_object_list",
            "get_next_year",
            "get_previous_year",
        ),
    )
    def aget_dated_items(self) -> Calls[_DatedItems[_M]]:
        """
        Return the months, the objects, and the next and previous year.

        Async variant of `get_dated_items()`.
        """
        year = yield call(self.aget_year)
        date_field = yield call(self.aget_date_field)
        year_format = yield call(self.aget_year_format)
        date = yield call(_private._date_from_string, year, year_format)
        lookup = yield from _interval(self, date_field, date, "year")
        queryset = yield call(self.aget_dated_queryset, **lookup)
        date_list = yield call(self.aget_date_list, queryset)
        if not (yield call(self.aget_make_object_list)):
            # The template's name comes from the model of this QuerySet.
            queryset = yield call(queryset.none)
        return date_list, queryset, (yield from _with_neighbours(self, date, "year"))

    @twin(dates.BaseYearArchiveView.get_make_object_list, pure=True)
    async def aget_make_object_list(self) -> bool:
        """
        Return whether the page lists the objects as well as the months.

        Async variant of `get_make_object_list()`.
        """


def _interval(
    view: Any, date_field: str, date: datetime.date, period: str
) -> Calls[dict[str, Any]]:
    """The lookup of the objects of a year, month or week."""
    since = yield call(view._amake_date_lookup_arg, date)
    end = yield call(twin_or_hook(view, f"_get_next_{period}"), date)
    until = yield call(view._amake_date_lookup_arg, end)
    return {f"{date_field}__gte": since, f"{date_field}__lt": until}


def _with_neighbours(
    view: Any, date: datetime.date, period: str
) -> Calls[dict[str, datetime.date | None]]:
    """The context of a period: its date, the next and the previous."""
    following = yield call(getattr(view, f"aget_next_{period}"), date)
    previous = yield call(getattr(view, f"aget_previous_{period}"), date)
    return {period: date, f"next_{period}": following, f"previous_{period}": previous}


class AsyncYearArchiveView(
    _django.YearArchiveView,
    AsyncMultipleObjectTemplateResponseMixin,
    AsyncBaseYearArchiveView[_M],
):
    """Async variant of `YearArchiveView`: the page of a year."""


class AsyncBaseMonthArchiveView(
    _django.BaseMonthArchiveView,
    AsyncYearMixin,
    AsyncMonthMixin,
    AsyncBaseDateListView[_M],
):
    """Async variant of `BaseMonthArchiveView`: a month, without a response mixin."""

    @twin(
        dates.BaseMonthArchiveView.get_dated_items,
        calls=(
            "get_year",
            "get_month",
            "get_date_field",
            "get_year_format",
            "get_month_format",
            "_make_date_lookup_arg",
            *_DATED,
            "get_next_month",
            "get_previous_month",
        ),
    )
    def aget_dated_items(self) -> Calls[_DatedItems[_M]]:
        """
        Return the days, the objects, and the next and previous month.

        Async variant of `get_dated_items()`.
        """
        year = yield call(self.aget_year)
        month = yield call(self.aget_month)
        date_field = yield call(self.aget_date_field)
        year_format = yield call(self.aget_year_format)
        month_format = yield call(self.aget_month_format)
        date = yield call(
            _private._date_from_string, year, year_format, month, month_format
        )
        lookup = yield from _interval(self, date_field, date, "month")
        queryset = yield call(self.aget_dated_queryset, **lookup)
        date_list = yield call(self.aget_date_list, queryset)
        return date_list, queryset, (yield from _with_neighbours(self, date, "month"))


class AsyncMonthArchiveView(
    _django.MonthArchiveView,
    AsyncMultipleObjectTemplateResponseMixin,
    AsyncBaseMonthArchiveView[_M],
):
    """Async variant of `MonthArchiveView`: the page of a month."""


class AsyncBaseWeekArchiveView(
    _django.BaseWeekArchiveView,
    AsyncYearMixin,
    AsyncWeekMixin,
    AsyncBaseDateListView[_M],
):
    """Async variant of `BaseWeekArchiveView`: a week, without a response mixin."""

    @twin(
        dates.BaseWeekArchiveView.get_dated_items,
        calls=(
            "get_year",
            "get_week",
            "get_date_field",
            "get_week_format",
            "get_year_format",
            "_make_date_lookup_arg",
            "_get_next_week",
            "get_dated_queryset",
            "get_next_week",
            "get_previous_week",
        ),
    )
    def aget_dated_items(self) -> Calls[_DatedItems[_M]]:
        """
        Return None, the objects, and the next and previous week.

        Async variant of `get_dated_items()`.
        """
        year = yield call(self.aget_year)
        week = yield call(self.aget_week)
        date_field = yield call(self.aget_date_field)
        week_format = yield call(self.aget_week_format)
        week_choices = {"%W": "1", "%U": "0", "%V": "1"}
        if week_format not in week_choices:
            raise ValueError(
                f"Unknown week format {week_format!r}. Choices are: "
                f"{', '.join(sorted(week_choices))}"
            )
        year_format = yield call(self.aget_year_format)
        if week_format == "%V" and year_format != "%G":
            raise ValueError(
                f"ISO week directive '{week_format}' is incompatible with the year "
                f"directive '{year_format}'. Use the ISO year '%G' instead."
            )
        date = yield call(
            _private._date_from_string,
            year,
            year_format,
            week_choices[week_format],
            "%w",
            week,
            week_format,
        )
        lookup = yield from _interval(self, date_field, date, "week")
        queryset = yield call(self.aget_dated_queryset, **lookup)
        return None, queryset, (yield from _with_neighbours(self, date, "week"))


class AsyncWeekArchiveView(
    _django.WeekArchiveView,
    AsyncMultipleObjectTemplateResponseMixin,
    AsyncBaseWeekArchiveView[_M],
):
    """Async variant of `WeekArchiveView`: the page of a week."""


# What names one day in the URL.
_DAY = (
    "get_year",
    "get_month",
    "get_day",
    "get_year_format",
    "get_month_format",
    "get_day_format",
)


def _day(view: Any) -> Calls[datetime.date]:
    """The day that the URL names."""
    year = yield call(view.aget_year)
    month = yield call(view.aget_month)
    day = yield call(view.aget_day)
    date: datetime.date = yield call(
        _private._date_from_string,
        year,
        (yield call(view.aget_year_format)),
        month,
        (yield call(view.aget_month_format)),
        day,
        (yield call(view.aget_day_format)),
    )
    return date


class AsyncBaseDayArchiveView(
    _django.BaseDayArchiveView,
    AsyncYearMixin,
    AsyncMonthMixin,
    AsyncDayMixin,
    AsyncBaseDateListView[_M],
):
    """Async variant of `BaseDayArchiveView`: a day, without a response mixin."""

    @twin(dates.BaseDayArchiveView.get_dated_items, calls=(*_DAY, "_get_dated_items"))
    def aget_dated_items(self) -> Calls[_DatedItems[_M]]:
        """
        Return None, the objects, and the next and previous day and month.

        Async variant of `get_dated_items()`.
        """
        date = yield from _day(self)
        return (yield call(self._aget_dated_items, date))

    @twin(
        _private.BaseDayArchiveView._get_dated_items,
        calls=(
            "_make_single_date_lookup",
            "get_dated_queryset",
            "get_previous_day",
            "get_next_day",
            "get_previous_month",
            "get_next_month",
        ),
    )
    def _aget_dated_items(self, date: datetime.date) -> Calls[_DatedItems[_M]]:
        lookup = yield call(self._amake_single_date_lookup, date)
        queryset = yield call(self.aget_dated_queryset, **lookup)
        context = {
            "day": date,
            "previous_day": (yield call(self.aget_previous_day, date)),
            "next_day": (yield call(self.aget_next_day, date)),
            "previous_month": (yield call(self.aget_previous_month, date)),
            "next_month": (yield call(self.aget_next_month, date)),
        }
        return None, queryset, context


class AsyncDayArchiveView(
    _django.DayArchiveView,
    AsyncMultipleObjectTemplateResponseMixin,
    AsyncBaseDayArchiveView[_M],
):
    """Async variant of `DayArchiveView`: the page of a day."""


class AsyncBaseTodayArchiveView(
    _django.BaseTodayArchiveView, AsyncBaseDayArchiveView[_M]
):
    """Async variant of `BaseTodayArchiveView`: today, without a response mixin."""

    @twin(dates.BaseTodayArchiveView.get_dated_items, calls=("_get_dated_items",))
    def aget_dated_items(self) -> Calls[_DatedItems[_M]]:
        """
        Return the same as the archive of a day, for today.

        Async variant of `get_dated_items()`.
        """
        return (yield call(self._aget_dated_items, datetime.date.today()))


class AsyncTodayArchiveView(
    _django.TodayArchiveView,
    AsyncMultipleObjectTemplateResponseMixin,
    AsyncBaseTodayArchiveView[_M],
):
    """Async variant of `TodayArchiveView`: the page of today."""


class AsyncBaseDateDetailView(
    _django.BaseDateDetailView,
    AsyncYearMixin,
    AsyncMonthMixin,
    AsyncDayMixin,
    AsyncDateMixin,
    AsyncBaseDetailView[_M],
):
    """Async variant of `BaseDateDetailView`: without a response mixin."""

    @twin(
        dates.BaseDateDetailView.get_object,
        calls=(
            *_DAY,
            "get_queryset",
            "get_allow_future",
            "_make_single_date_lookup",
            SUPER,
        ),
    )
    def aget_object(self, queryset: QuerySet[_M] | None = None) -> Calls[_M]:
        """
        Return the object that the URL names, if it has the date of the URL.

        Async variant of `get_object()`.

        Raises:
            Http404: If there is no such object, or if the date is in the future and
                `allow_future` is False.
        """
        date = yield from _day(self)
        found: Any = queryset
        if found is None:
            found = yield call(self.aget_queryset)
        allow_future = yield call(self.aget_allow_future)
        if not allow_future and date > datetime.date.today():
            raise Http404(
                _(
                    "Future %(verbose_name_plural)s not available because "
                    "%(class_name)s.allow_future is False."
                )
                % {
                    "verbose_name_plural": found.model._meta.verbose_name_plural,
                    "class_name": type(self).__name__,
                }
            )
        lookup = yield call(self._amake_single_date_lookup, date)
        found = yield call(found.filter, **lookup)
        result: _M = yield call(super().aget_object, queryset=found)
        return result


class AsyncDateDetailView(
    _django.DateDetailView,
    AsyncSingleObjectTemplateResponseMixin,
    AsyncBaseDateDetailView[_M],
):
    """Async variant of `DateDetailView`: the page of one object on its day."""
