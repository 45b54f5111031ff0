"""The URLconf of the tests: tests of views have their own, or call as_view()."""

from django.http import HttpResponse
from django.urls import path

urlpatterns = [
    path("", lambda request: HttpResponse(), name="home"),
    path("author/<int:pk>/", lambda request, pk: HttpResponse(), name="author"),
]
