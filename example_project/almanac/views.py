"""The holiday pages.

Each class is what it would be on Django's own views, with another base class. Hooks
stay sync where there is nothing to await (`get_queryset` only describes a query), and
have an `a` in front where there is: the ORM's own async methods, here.
"""

from __future__ import annotations

import datetime as dt
import random
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q
from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django_async_cbv.views import (
    AsyncArchiveIndexView,
    AsyncDateDetailView,
    AsyncDayArchiveView,
    AsyncDetailView,
    AsyncFormView,
    AsyncListView,
    AsyncMonthArchiveView,
    AsyncRedirectView,
    AsyncTemplateView,
    AsyncTodayArchiveView,
    AsyncWeekArchiveView,
    AsyncYearArchiveView,
)
from django_async_cbv.views.exports import CSVView
from icalendar import Calendar, Event

from almanac import calendars
from almanac.forms import ExportForm, FilterForm
from almanac.models import Country, Holiday
from briefing.services import SERVICES

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpResponseBase


async def countries_at_rest(first: dt.date, last: dt.date) -> dict[dt.date, int]:
    """Day by day from `first` to `last`, how many countries rest. One query."""
    days = (
        Holiday.objects.filter(date__range=(first, last))
        .order_by()
        .values_list("date")
        .annotate(Count("country", distinct=True))
    )
    return {day: count async for day, count in days}


async def year_at_a_glance(year: int) -> list[calendars.Month]:
    """The grid of a year. One query."""
    counts = await countries_at_rest(dt.date(year, 1, 1), dt.date(year, 12, 31))
    return calendars.year_grid(year, counts)


class Home(AsyncTemplateView):
    """Who rests today, who in the next days, and the year at a glance."""

    template_name = "home.html"

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add today's holidays, the coming week, the year's grid, the slow services."""
        context = await super().aget_context_data(**kwargs)
        today = timezone.localdate()
        holidays = [
            holiday
            async for holiday in Holiday.objects.filter(date=today).select_related(
                "country"
            )
        ]
        week = await countries_at_rest(today, today + dt.timedelta(7))
        latencies = [latency for _, latency, _ in SERVICES.values()]
        context.update(
            today=today,
            groups=calendars.grouped(holidays),
            resting=len({holiday.country_id for holiday in holidays}),
            week=[
                calendars.Day(day, week.get(day, 0))
                for day in (today + dt.timedelta(n) for n in range(1, 8))
            ],
            year=today.year,
            months=await year_at_a_glance(today.year),
            country_count=await Country.objects.acount(),
            holiday_count=await Holiday.objects.acount(),
            services=SERVICES,
            shortest=min(latencies),
            longest=max(latencies),
            in_turn=round(sum(latencies), 1),
        )
        return context


class About(AsyncTemplateView):
    """Which page shows which view. This view has no overrides and makes no hop."""

    template_name = "about.html"


class HolidayList(AsyncListView[Holiday]):
    """All holidays: searched, filtered, sorted, a page at a time."""

    model = Holiday
    paginate_by = 40

    def get_queryset(self) -> QuerySet[Holiday]:
        """Filter by the query string. A sync hook, so it may query."""
        self.filters = FilterForm(self.request.GET)
        holidays = (
            super()
            .get_queryset()
            .select_related("country")
            .prefetch_related("categories")
        )
        return self.filters.apply(holidays)

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the form, and the page numbers that are worth a link."""
        context = await super().aget_context_data(**kwargs)
        page = context["page_obj"]
        context["filters"] = self.filters
        context["pages"] = list(
            page.paginator.get_elided_page_range(page.number, on_ends=1)
        )
        return context


class CountryList(AsyncListView[Country]):
    """All countries, by initial, with the number of their holidays this year."""

    model = Country
    ordering = "slug"

    def get_queryset(self) -> QuerySet[Country]:
        """Count this year's days off as well."""
        this_year = Q(holidays__date__year=timezone.localdate().year)
        days_off = Count("holidays__date", filter=this_year, distinct=True)
        return super().get_queryset().annotate(days_off=days_off)


class CountryDetail(AsyncDetailView[Country]):
    """One country and its holidays of this year, or of another with `?year=`."""

    model = Country

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the year's holidays, and which other years there are."""
        context = await super().aget_context_data(**kwargs)
        holidays = self.object.holidays
        today = timezone.localdate()
        years = [day.year async for day in holidays.dates("date", "year")]
        try:
            year = int(self.request.GET.get("year", today.year))
        except ValueError:
            raise Http404("The year has to be a number.") from None
        if year not in years:
            raise Http404(f"No holidays of {self.object} are known for {year}.")
        context.update(
            year=year,
            years=years,
            today=today,
            next=await holidays.filter(date__gte=today).order_by("date").afirst(),
            holidays=[
                holiday
                async for holiday in holidays.filter(date__year=year)
                .order_by("date", "name")
                .prefetch_related("categories")
            ],
        )
        return context


class HolidayDates:
    """What all pages of the archive share."""

    queryset: QuerySet[Holiday] | None = Holiday.objects.select_related(
        "country"
    ).order_by("date", "country__slug")
    date_field: str | None = "date"
    month_format = "%m"
    allow_future = True
    allow_empty = True


class Archive(HolidayDates, AsyncArchiveIndexView[Holiday]):
    """The years that there are, each at a glance."""

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add a grid for each year."""
        context = await super().aget_context_data(**kwargs)
        years = [day.year for day in context["date_list"]]
        context["years"] = [(year, await year_at_a_glance(year)) for year in years]
        return context


class Year(HolidayDates, AsyncYearArchiveView[Holiday]):
    """One year: each month, each day, and the holidays that most countries keep."""

    allow_empty = False

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the grid and the most widespread holidays."""
        context = await super().aget_context_data(**kwargs)
        year = context["year"].year
        context["months"] = await year_at_a_glance(year)
        context["widespread"] = [
            row
            async for row in Holiday.objects.filter(date__year=year)
            .order_by()
            .values("name")
            .annotate(countries=Count("country", distinct=True))
            .order_by("-countries", "name")[:12]
        ]
        return context


class YearCSV(CSVView[Holiday]):
    """The holidays of one year as a table, for a spreadsheet."""

    model = Holiday
    ordering = "date"
    fields = ("date", "name", ("country__name", "country"))
    # Without a byte order mark, Excel does not read the file as UTF-8.
    bom = True

    def get_queryset(self) -> QuerySet[Holiday]:
        """Return the holidays of the year in the URL."""
        return super().get_queryset().filter(date__year=self.kwargs["year"])

    async def prepare(self) -> HttpResponseBase | None:
        """Name the file before its headers leave."""
        self.filename = f"holidays-{self.kwargs['year']}.csv"
        return await super().prepare()


class Month(HolidayDates, AsyncMonthArchiveView[Holiday]):
    """One month, as it hangs on the wall."""

    allow_empty = False

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the weeks."""
        context = await super().aget_context_data(**kwargs)
        context["weeks"] = calendars.month_grid(
            context["month"], [holiday async for holiday in context["object_list"]]
        )
        context["today"] = timezone.localdate()
        return context


class Week(HolidayDates, AsyncWeekArchiveView[Holiday]):
    """One week, by its ISO number, Monday to Sunday."""

    year_format = "%G"
    week_format = "%V"

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the seven days and the number of the week."""
        context = await super().aget_context_data(**kwargs)
        context["days"] = calendars.week_row(
            context["week"], [holiday async for holiday in context["object_list"]]
        )
        context["number"] = context["week"].isocalendar().week
        context["today"] = timezone.localdate()
        return context


class DayPage:
    """What the page of any day and that of today share."""

    template_name: str | None = "almanac/holiday_archive_day.html"

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the holidays by name, and the day before and after."""
        context: dict[str, Any]
        context = await super().aget_context_data(**kwargs)  # type: ignore[misc]
        holidays = [holiday async for holiday in context["object_list"]]
        day = context["day"]
        context["groups"] = calendars.grouped(holidays)
        context["resting"] = len({holiday.country_id for holiday in holidays})
        context["before"], context["after"] = (
            day - dt.timedelta(1),
            day + dt.timedelta(1),
        )
        return context


class Day(HolidayDates, DayPage, AsyncDayArchiveView[Holiday]):
    """One day: which countries rest, and why."""


class Today(HolidayDates, DayPage, AsyncTodayArchiveView[Holiday]):
    """The same for today."""


class HolidayDetail(HolidayDates, AsyncDateDetailView[Holiday]):
    """One holiday of one country, and who else keeps it that day."""

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add its kinds, other countries on the day, its dates in other years."""
        context = await super().aget_context_data(**kwargs)
        holiday = self.object
        context["categories"] = [
            category async for category in holiday.categories.all()
        ]
        context["others"] = [
            other
            async for other in Holiday.objects.filter(
                date=holiday.date, name=holiday.name
            )
            .exclude(pk=holiday.pk)
            .select_related("country")
        ]
        context["other_years"] = [
            other
            async for other in Holiday.objects.filter(
                country=holiday.country, slug=holiday.slug
            )
            .exclude(pk=holiday.pk)
            .select_related("country")
            .order_by("date")
        ]
        return context


class Surprise(AsyncRedirectView):
    """Some holiday of the time to come."""

    async def aget_redirect_url(self, *args: Any, **kwargs: Any) -> str | None:
        """Return the URL of a random holiday, or of the archive if there is none."""
        coming = Holiday.objects.filter(date__gte=timezone.localdate())
        count = await coming.acount()
        if not count:
            return reverse("archive")
        picked = await coming.order_by("pk")[random.randrange(count) :].afirst()
        return picked.get_absolute_url() if picked else reverse("archive")


class Export(AsyncFormView[ExportForm]):
    """Holidays as a file for the calendar of a phone."""

    template_name = "export.html"
    form_class = ExportForm

    def get_initial(self) -> dict[str, Any]:
        """This year, and the country that the link named."""
        countries = Country.objects.filter(slug=self.request.GET.get("country", ""))
        return {"year": timezone.localdate().year, "countries": countries}

    async def aform_valid(self, form: ExportForm) -> HttpResponse:
        """Answer with the file, built from rows as the database sends them."""
        calendar = Calendar()
        calendar.add("prodid", "-//Red Letter Days//EN")
        calendar.add("version", "2.0")
        holidays = Holiday.objects.filter(
            country__in=form.cleaned_data["countries"],
            date__year=form.cleaned_data["year"],
        ).select_related("country")
        async for holiday in holidays:
            event = Event()
            event.add("uid", f"{holiday.date:%Y%m%d}-{holiday.slug}@redletter.example")
            event.add("dtstamp", timezone.now())
            event.add("dtstart", holiday.date)
            event.add("summary", f"{holiday.country.flag} {holiday.name}")
            calendar.add_component(event)
        return HttpResponse(
            calendar.to_ical(),
            content_type="text/calendar; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="holidays.ics"'},
        )
