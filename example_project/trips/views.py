"""The pages of the trips. Everybody may read them, and only the owner may edit them.

In front of the new trip stand `LoginRequiredMixin` and `SuccessMessageMixin` as Django
has them, sync as ever: nothing has to be rewritten to be used with async views. In
front of the others stand async twins of such mixins, which may await.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth import alogin
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.contrib.messages.views import SuccessMessageMixin
from django.db import IntegrityError
from django.shortcuts import aget_object_or_404
from django.urls import reverse_lazy
from django.utils import timezone
from django_async_cbv.auth.mixins import AsyncUserPassesTestMixin
from django_async_cbv.messages import AsyncSuccessMessageMixin
from django_async_cbv.views import (
    AsyncCreateView,
    AsyncDeleteView,
    AsyncDetailView,
    AsyncListView,
    AsyncUpdateView,
)

from trips.forms import TITLE_TAKEN, SignUpForm, TripForm
from trips.models import Trip

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpResponse


class TripList(AsyncListView[Trip]):
    """The trips to come, or all of one's own with `?mine=1`."""

    model = Trip
    paginate_by = 12

    async def aget_queryset(self) -> QuerySet[Trip]:
        """Read the user from the session, which an async hook awaits."""
        trips = await super().aget_queryset()
        user = await self.request.auser()
        self.mine = user.is_authenticated and "mine" in self.request.GET
        trips = (
            trips.filter(traveller_id=user.pk)
            if self.mine
            else trips.filter(ends__gte=timezone.localdate())
        )
        return trips.select_related("traveller").prefetch_related("countries")


class TripDetail(AsyncDetailView[Trip]):
    """One trip, and what is closed on the way."""

    queryset = Trip.objects.select_related("traveller").prefetch_related("countries")

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the holidays that are in the way."""
        context = await super().aget_context_data(**kwargs)
        context["holidays"] = [holiday async for holiday in self.object.holidays()]
        return context


class OwnTrip(AsyncUserPassesTestMixin):
    """Let only the owner of a trip in.

    Who is not logged in is sent to the login, all others get a 403.
    """

    kwargs: dict[str, Any]

    async def atest_func(self) -> bool:
        """Return whether the user owns the trip. Raise Http404 if there is no trip."""
        user = await self.request.auser()
        if not user.is_authenticated:
            return False
        trip = await aget_object_or_404(Trip, slug=self.kwargs["slug"])
        self.permission_denied_message = f"“{trip}” is somebody else's trip."
        return trip.traveller_id == user.pk


class FirstComeFirstServed:
    """Show an error to the second user who saves the same title at the same time.

    The form has looked whether the title is free, but between that look and the insert
    another request may take it: a double click is enough. The database knows.
    """

    async def aform_valid(self, form: TripForm) -> HttpResponse:
        """Save the trip. If the constraint refuses it, show the form with the error."""
        response: HttpResponse
        try:
            response = await super().aform_valid(form)  # type: ignore[misc]
        except IntegrityError:
            form.add_error("title", TITLE_TAKEN)
            response = await self.aform_invalid(form)  # type: ignore[attr-defined]
        return response


class TripCreate(
    LoginRequiredMixin,
    FirstComeFirstServed,
    SuccessMessageMixin,  # type: ignore[type-arg]
    AsyncCreateView[Trip, TripForm],
):
    """The page that makes a trip."""

    model = Trip
    form_class = TripForm
    success_message = "“%(title)s” is in the book. Have a good journey."

    async def aform_valid(self, form: TripForm) -> HttpResponse:
        """Make the user the owner."""
        form.instance.traveller = await self.request.auser()
        return await super().aform_valid(form)


class TripUpdate(
    OwnTrip,
    FirstComeFirstServed,
    AsyncSuccessMessageMixin,
    AsyncUpdateView[Trip, TripForm],
):
    """The page that changes a trip."""

    model = Trip
    form_class = TripForm
    success_message = "“%(title)s” is changed."

    async def aform_valid(self, form: TripForm) -> HttpResponse:
        """Save the trip, then remove the old picture, which nothing uses now."""
        old = form.initial["cover"]
        response = await super().aform_valid(form)
        if old and "cover" in form.changed_data:
            await sync_to_async(old.storage.delete)(str(old.name))
        return response


class TripDelete(OwnTrip, AsyncDeleteView[Trip, Any]):
    """The page that deletes a trip."""

    model = Trip
    success_url = reverse_lazy("trips:list")

    async def aform_valid(self, form: Any) -> HttpResponse:
        """Delete the trip, then its picture, and queue a message."""
        cover, title = self.object.cover, self.object.title
        response = await super().aform_valid(form)
        if cover:
            await sync_to_async(cover.storage.delete)(str(cover.name))
        messages.success(self.request, f"“{title}” is deleted.")
        return response


class SignUp(AsyncSuccessMessageMixin, AsyncCreateView[User, SignUpForm]):
    """The page that makes an account and logs the user in.

    The form asks after its password on the event loop; it is hashed in the worker.
    """

    model = User
    form_class = SignUpForm
    template_name = "account/signup.html"
    success_url = reverse_lazy("trips:list")
    success_message = "Welcome, %(username)s."

    async def aform_valid(self, form: SignUpForm) -> HttpResponse:
        """Save the account and log it in."""
        response: HttpResponse = await super().aform_valid(form)
        await alogin(self.request, form.instance)
        return response
