"""The URLs of django.contrib.auth.urls, by the same names, with our views."""

from django.urls import path

from . import views

__all__ = ["urlpatterns"]

urlpatterns = [
    path("login/", views.AsyncLoginView.as_view(), name="login"),
    path("logout/", views.AsyncLogoutView.as_view(), name="logout"),
    path(
        "password_change/",
        views.AsyncPasswordChangeView.as_view(),
        name="password_change",
    ),
    path(
        "password_change/done/",
        views.AsyncPasswordChangeDoneView.as_view(),
        name="password_change_done",
    ),
    path(
        "password_reset/", views.AsyncPasswordResetView.as_view(), name="password_reset"
    ),
    path(
        "password_reset/done/",
        views.AsyncPasswordResetDoneView.as_view(),
        name="password_reset_done",
    ),
    path(
        "reset/<uidb64>/<token>/",
        views.AsyncPasswordResetConfirmView.as_view(),
        name="password_reset_confirm",
    ),
    path(
        "reset/done/",
        views.AsyncPasswordResetCompleteView.as_view(),
        name="password_reset_complete",
    ),
]
