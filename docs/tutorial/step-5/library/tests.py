from unittest import mock

from django.test import TestCase

from library.models import Author, Book


class BookListTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        author = Author.objects.create(name="Jane Austen")
        Book.objects.create(title="Emma", author=author)

    async def test_shows_price_and_stock(self):
        with (
            mock.patch("library.views.fetch_prices") as prices,
            mock.patch("library.views.fetch_stock") as stock,
        ):
            prices.return_value = {"Emma": 12}
            stock.return_value = {"Emma": 3}
            response = await self.async_client.get("/")
        self.assertContains(response, "12 euros, 3 in stock")
