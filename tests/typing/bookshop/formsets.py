"""Views of formsets, as users of the package write them."""

from collections.abc import Sequence
from typing import Any, assert_type

from django.db.models import QuerySet
from django.forms import BaseFormSet
from django.http import HttpRequest, HttpResponse, JsonResponse

from django_async_cbv.auth.mixins import AsyncLoginRequiredMixin
from django_async_cbv.views import (
    AsyncCreateWithInlinesView,
    AsyncFormSetMixin,
    AsyncFormSetView,
    AsyncInlineFormSetFactory,
    AsyncInlineFormSetView,
    AsyncModelFormSetView,
    AsyncUpdateWithInlinesView,
)
from tests.typing.bookshop.forms import BookForm, ContactForm
from tests.typing.bookshop.models import Author, Book


class Contacts(AsyncFormSetView):
    form_class = ContactForm
    factory_kwargs = {"extra": 3}
    success_url = "/"

    async def aget_initial(self) -> Sequence[dict[str, Any]]:
        return [*await super().aget_initial(), {"message": "Hello"}]

    async def aformset_valid(self, formset: BaseFormSet[ContactForm]) -> HttpResponse:
        for form in formset:
            assert_type(form, ContactForm)
        return await super().aformset_valid(formset)

    def get_success_url(self) -> str:
        return super().get_success_url() + "?sent"


class ShelfMixin(AsyncFormSetMixin):
    async def aget_formset_kwargs(self) -> dict[str, Any]:
        kwargs = await super().aget_formset_kwargs()
        return kwargs | {"error_messages": {}}


class Shelf(ShelfMixin, AsyncLoginRequiredMixin, AsyncModelFormSetView[Book]):
    model = Book
    fields = ["title", "published"]

    def get_queryset(self) -> QuerySet[Book]:
        return super().get_queryset().filter(title__gt="A")

    async def aget_queryset(self) -> QuerySet[Book]:
        return (await super().aget_queryset()).reverse()

    async def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return await super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().post(request, *args, **kwargs)


class BooksOfAuthor(AsyncInlineFormSetView[Author]):
    model = Author
    inline_model = Book
    fields = ["title", "published"]

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        assert_type(self.object, Author)
        return await super().aget_context_data(**kwargs, author=self.object)


class BookInline(AsyncInlineFormSetFactory):
    model = Book
    form_class = BookForm

    async def aget_prefix(self) -> str | None:
        return "books"


class AuthorCreate(AsyncCreateWithInlinesView[Author]):
    model = Author
    fields = ["name"]
    inlines = [BookInline]

    async def aforms_valid(self, form: Any, inlines: Sequence[Any]) -> HttpResponse:
        response = await super().aforms_valid(form, inlines)
        assert_type(response, HttpResponse)
        return response


class BookUpdate(AsyncUpdateWithInlinesView[Book, BookForm]):
    form_class = BookForm
    queryset = Book.objects.all()

    def forms_invalid(self, form: BookForm, inlines: Sequence[Any]) -> HttpResponse:
        return JsonResponse(form.errors)

    async def aconstruct_inlines(self) -> list[Any]:
        assert_type(self.object, Book)
        return await super().aconstruct_inlines()
