"""Where the models' pages are, on Django's own sync views: what tests redirect to."""

from django.urls import path
from django.views.generic import DetailView, ListView

from tests.app.models import Article, Author, Book

urlpatterns = [
    path("authors/", ListView.as_view(model=Author), name="author-list"),
    path(
        "authors/<slug:slug>/", DetailView.as_view(model=Author), name="author-detail"
    ),
    path("books/", ListView.as_view(model=Book), name="book-list"),
    path("books/<int:pk>/", DetailView.as_view(model=Book), name="book-detail"),
    path("articles/", ListView.as_view(model=Article), name="article-list"),
]
