"""Every page of the site."""

from __future__ import annotations

from django.conf import settings
from django.urls import include, path
from django_async_cbv.auth.views import AsyncLoginView, AsyncLogoutView

from almanac import views
from dashboard.views import Dashboard
from redletter import files
from trips.views import SignUp

urlpatterns = [
    path("", views.Home.as_view(), name="home"),
    path("about/", views.About.as_view(), name="about"),
    path("holidays/", views.HolidayList.as_view(), name="holidays"),
    path("countries/", views.CountryList.as_view(), name="countries"),
    path("countries/<slug:slug>/", views.CountryDetail.as_view(), name="country"),
    path("days/", views.Archive.as_view(), name="archive"),
    path("days/today/", views.Today.as_view(), name="today"),
    path("days/<int:year>/", views.Year.as_view(), name="year"),
    path("days/<int:year>/holidays.csv", views.YearCSV.as_view(), name="year_csv"),
    path("days/<int:year>/week/<int:week>/", views.Week.as_view(), name="week"),
    path("days/<int:year>/<int:month>/", views.Month.as_view(), name="month"),
    path("days/<int:year>/<int:month>/<int:day>/", views.Day.as_view(), name="day"),
    path(
        "days/<int:year>/<int:month>/<int:day>/<slug:slug>/",
        views.HolidayDetail.as_view(),
        name="holiday",
    ),
    path("surprise/", views.Surprise.as_view(), name="surprise"),
    path("export/", views.Export.as_view(), name="export"),
    path("trips/", include("trips.urls")),
    path("shop/", include("shop.urls")),
    path("briefing/", include("briefing.urls")),
    path("dashboard/", Dashboard.as_view(), name="dashboard"),
    path("account/new/", SignUp.as_view(), name="signup"),
    path(
        "account/login/",
        AsyncLoginView.as_view(template_name="account/login.html"),
        name="login",
    ),
    path("account/logout/", AsyncLogoutView.as_view(), name="logout"),
    path("static/<path:path>", files.static),
    path("media/<path:path>", files.media),
]

# The account links on these pages need the session and the user.
handler403 = "redletter.errors.permission_denied"
handler404 = "redletter.errors.page_not_found"

if settings.DEBUG:
    from debug_toolbar.toolbar import debug_toolbar_urls

    urlpatterns += debug_toolbar_urls()
