from django.urls import path

from library.views import AuthorDetail, BookDetail, BookList

urlpatterns = [
    path("", BookList.as_view(), name="book-list"),
    path("books/<int:pk>/", BookDetail.as_view(), name="book-detail"),
    path(
        "authors/<slug:slug>/",
        AuthorDetail.as_view(),
        name="author-detail",
    ),
]
