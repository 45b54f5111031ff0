import asyncio
import time

from django_async_cbv.views import AsyncListView

from library.models import Book
from library.services import fetch_prices, fetch_stock


class BookList(AsyncListView):
    model = Book

    def get_queryset(self):
        return super().get_queryset().select_related("author")

    async def aget_context_data(self, **kwargs):
        context = await super().aget_context_data(**kwargs)
        start = time.perf_counter()
        prices, stock = await asyncio.gather(
            fetch_prices(), fetch_stock()
        )
        context["seconds"] = time.perf_counter() - start
        context["rows"] = [
            (book, prices[book.title], stock[book.title])
            async for book in context["book_list"]
        ]
        return context
