"""Addresses of the briefing."""

from django.urls import path

from briefing import views

app_name = "briefing"

urlpatterns = [
    path("", views.Briefing.as_view(), name="today"),
    path("<int:year>/<int:month>/<int:day>/", views.Briefing.as_view(), name="day"),
]
