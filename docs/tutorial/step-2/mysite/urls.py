from django.urls import path

from library.views import BookList

urlpatterns = [
    path("", BookList.as_view(), name="book-list"),
]
