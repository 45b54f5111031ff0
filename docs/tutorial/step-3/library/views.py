from django_async_cbv.views import AsyncListView

from library.models import Book


class BookList(AsyncListView):
    model = Book

    def get_queryset(self):
        return super().get_queryset().select_related("author")
