"""Addresses of the briefing."""

from django.urls import path

from briefing import views

app_name = "briefing"

urlpatterns = [
    path("", views.Briefing.as_view(), name="today"),
    path("told/", views.Told.as_view(), name="told"),
    path("told/words/", views.Telling.as_view(), name="telling"),
    path("told/endings/", views.Endings.as_view(), name="endings"),
    path("<int:year>/<int:month>/<int:day>/", views.Briefing.as_view(), name="day"),
]
