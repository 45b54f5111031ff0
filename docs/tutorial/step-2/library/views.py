from django.views.generic import ListView

from library.models import Book


class BookList(ListView):
    model = Book

    def get_queryset(self):
        return super().get_queryset().select_related("author")
