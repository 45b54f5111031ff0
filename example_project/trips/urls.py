"""Addresses of the trips."""

from django.urls import path

from trips import views

app_name = "trips"

urlpatterns = [
    path("", views.TripList.as_view(), name="list"),
    path("new/", views.TripCreate.as_view(), name="create"),
    path("<slug:slug>/", views.TripDetail.as_view(), name="detail"),
    path("<slug:slug>/edit/", views.TripUpdate.as_view(), name="update"),
    path("<slug:slug>/delete/", views.TripDelete.as_view(), name="delete"),
]
