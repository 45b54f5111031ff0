"""Views that are right, and so pass both checkers as they stand."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from django_async_cbv.views import (
    AsyncArchiveIndexView,
    AsyncContextMixin,
    AsyncCreateView,
    AsyncDateDetailView,
    AsyncDateMixin,
    AsyncDayArchiveView,
    AsyncDeleteView,
    AsyncDetailView,
    AsyncFormMixin,
    AsyncFormView,
    AsyncListView,
    AsyncMonthArchiveView,
    AsyncMultipleObjectMixin,
    AsyncRedirectView,
    AsyncSingleObjectMixin,
    AsyncTemplateView,
    AsyncTodayArchiveView,
    AsyncUpdateView,
    AsyncView,
    AsyncWeekArchiveView,
    AsyncYearArchiveView,
)
from tests.typing.bookshop.forms import BookForm, ConfirmForm, ContactForm
from tests.typing.bookshop.models import Author, Book


async def latest_prices() -> dict[str, int]:
    await asyncio.sleep(0)
    return {"EUR": 12}


def mark(response: HttpResponse) -> None:
    response["X-Rendered"] = "yes"


# Attributes, hooks and twins.


class BookList(AsyncListView[Book]):
    model = Book
    template_name = "page.html"
    paginate_by = 20
    ordering = ["title"]
    context_object_name = "books"
    extra_context = {"shop": "Bookshop"}

    async def aget_queryset(self) -> QuerySet[Book]:
        queryset = await super().aget_queryset()
        return queryset.filter(published__lte=datetime.date(2030, 1, 1))

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = await super().aget_context_data(**kwargs)
        context["prices"] = await latest_prices()
        return context


class SyncBookList(AsyncListView[Book]):
    """As it was under Django's ListView."""

    queryset = Book.objects.select_related("author")
    template_name = "page.html"

    def get_queryset(self) -> QuerySet[Book]:
        return super().get_queryset().filter(title__contains=self.request.GET["q"])

    def get_ordering(self) -> str | Sequence[str] | None:
        return self.request.GET.get("ordering", "title")

    def get_paginate_by(self, queryset: QuerySet[Book]) -> int | None:
        return 10 if queryset.exists() else None

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "q": self.request.GET["q"]}

    def render_to_response(
        self, context: dict[str, Any], **response_kwargs: Any
    ) -> HttpResponse:
        response = super().render_to_response(context, **response_kwargs)
        response["X-Page"] = str(context["page_obj"])
        return response


class PricedBookList(AsyncListView[Book]):
    model = Book
    template_name = "page.html"

    async def aget_ordering(self) -> str:
        return "-published"

    async def aget_paginate_by(self, queryset: QuerySet[Book]) -> int:
        return min(await queryset.acount(), 50)

    async def aget_paginator(
        self,
        queryset: Any,
        per_page: int,
        orphans: int = 0,
        allow_empty_first_page: bool = True,
        **kwargs: Any,
    ) -> Paginator[Book]:
        return await super().aget_paginator(
            queryset, per_page, orphans, allow_empty_first_page, **kwargs
        )

    async def arender_to_response(
        self, context: dict[str, Any], **response_kwargs: Any
    ) -> HttpResponse:
        response = await super().arender_to_response(context, **response_kwargs)
        response["X-Prices"] = str(await latest_prices())
        return response


class BookDetail(AsyncDetailView[Book]):
    model = Book
    template_name = "page.html"

    async def aget_object(self, queryset: QuerySet[Book] | None = None) -> Book:
        book = await super().aget_object(queryset)
        book.title = book.title.title()
        return book

    def get_template_names(self) -> list[str]:
        return [*super().get_template_names(), f"{self.object.author.name}.html"]


class AuthorDetail(AsyncDetailView[Author]):
    model = Author
    template_name = "page.html"

    def get_object(self, queryset: QuerySet[Author] | None = None) -> Author:
        author = super().get_object(queryset)
        author.name = author.name.title()
        return author

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        titles = [book.title async for book in Book.objects.filter(author=self.object)]
        return await super().aget_context_data(titles=titles, **kwargs)


# Forms.


class Contact(AsyncFormView[ContactForm]):
    form_class = ContactForm
    template_name = "page.html"
    success_url = reverse_lazy("books")
    initial = {"message": "Hello"}

    async def aform_valid(self, form: ContactForm) -> HttpResponse:
        message: str = form.cleaned_data["message"]
        response = await super().aform_valid(form)
        response["X-Message"] = message
        return response

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "label_suffix": ""}


class BookCreate(AsyncCreateView[Book, BookForm]):
    model = Book
    form_class = BookForm
    template_name = "page.html"

    async def aget_form(self, form_class: type[BookForm] | None = None) -> BookForm:
        form = await super().aget_form(form_class)
        form.fields["title"].initial = str(await latest_prices())
        return form

    async def aget_initial(self) -> dict[str, Any]:
        return {**await super().aget_initial(), "published": datetime.date(2026, 1, 1)}

    async def aform_valid(self, form: BookForm) -> HttpResponse:
        form.instance.title = form.instance.title.strip()
        return await super().aform_valid(form)


class BookUpdate(AsyncUpdateView[Book, BookForm]):
    model = Book
    form_class = BookForm
    template_name = "page.html"

    def form_valid(self, form: BookForm) -> HttpResponse:
        form.instance.title = form.instance.title.strip()
        return super().form_valid(form)

    async def aform_invalid(self, form: BookForm) -> HttpResponse:
        response = await super().aform_invalid(form)
        response.status_code = 422
        return response

    async def aget_success_url(self) -> str:
        return f"{await super().aget_success_url()}?title={self.object.title}"


class BookCreateFromFields(AsyncCreateView[Book]):
    """The form is left to Django, and so to the default of the second argument."""

    model = Book
    fields = ["title", "author", "published"]
    template_name = "page.html"
    success_url = "/books/{id}/"


class BookDelete(AsyncDeleteView[Book]):
    model = Book
    template_name = "page.html"
    success_url = reverse_lazy("books")


class ConfirmedBookDelete(AsyncDeleteView[Book, ConfirmForm]):
    model = Book
    form_class = ConfirmForm
    template_name = "page.html"

    async def aform_valid(self, form: ConfirmForm) -> HttpResponse:
        title = self.object.title if form.cleaned_data["really"] else ""
        response = await super().aform_valid(form)
        response["X-Deleted"] = title
        return response

    def get_success_url(self) -> str:
        return "/books/"


# Dates.


class DatedByPublication(AsyncDateMixin):
    date_field = "published"
    allow_future = True


class BookArchive(DatedByPublication, AsyncArchiveIndexView[Book]):
    model = Book
    template_name = "page.html"
    date_list_period = "month"

    async def aget_dated_queryset(self, **lookup: Any) -> QuerySet[Book]:
        queryset = await super().aget_dated_queryset(**lookup)
        return queryset.select_related("author")


class BookYear(DatedByPublication, AsyncYearArchiveView[Book]):
    model = Book
    template_name = "page.html"
    make_object_list = True

    def get_dated_queryset(self, **lookup: Any) -> QuerySet[Book]:
        return super().get_dated_queryset(**lookup).filter(title__contains="i")

    def get_make_object_list(self) -> bool:
        return super().get_make_object_list()

    async def aget_next_year(self, date: datetime.date) -> datetime.date | None:
        return await super().aget_next_year(date)


class BookMonth(DatedByPublication, AsyncMonthArchiveView[Book]):
    model = Book
    month_format = "%m"
    template_name = "page.html"

    def get_month(self) -> str:
        return super().get_month().lower()


class BookWeek(DatedByPublication, AsyncWeekArchiveView[Book]):
    model = Book
    template_name = "page.html"

    async def aget_week(self) -> str:
        return await super().aget_week()


class BookDay(DatedByPublication, AsyncDayArchiveView[Book]):
    model = Book
    month_format = "%m"
    template_name = "page.html"


class BookToday(DatedByPublication, AsyncTodayArchiveView[Book]):
    model = Book
    template_name = "page.html"
    allow_empty = True


class BookOnItsDay(DatedByPublication, AsyncDateDetailView[Book]):
    model = Book
    month_format = "%m"
    template_name = "page.html"

    async def aget_object(self, queryset: QuerySet[Book] | None = None) -> Book:
        return await super().aget_object(queryset)


# Handlers and dispatch(), in either colour.


class CountedBookList(AsyncListView[Book]):
    model = Book
    template_name = "page.html"

    async def get(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        response = await super().get(request, *args, **kwargs)
        response["X-Count"] = str(await Book.objects.acount())
        return response


class SyncCountedBookList(AsyncListView[Book]):
    model = Book
    template_name = "page.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().get(request, *args, **kwargs)
        response["X-Count"] = str(Book.objects.count())
        return response


class ReservedBook(AsyncDetailView[Book]):
    """The handlers name what the URL gives."""

    model = Book
    template_name = "page.html"

    async def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return await super().get(request, pk=pk)

    async def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        return await self.get(request, pk)


class AskedAgain(AsyncFormView[ContactForm]):
    """What nobody overrides answers in both colours."""

    form_class = ContactForm
    template_name = "page.html"

    async def post(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        return await self.get(request, *args, **kwargs)

    def put(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.get(request, *args, **kwargs)


class TracedBookUpdate(BookUpdate):
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().post(request, *args, **kwargs)

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        response["X-Traced"] = "yes"
        return response


class GuardedBookList(AsyncListView[Book]):
    model = Book
    template_name = "page.html"

    async def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        user = await request.auser()
        if not user.is_authenticated:
            return HttpResponseRedirect("/")
        return await super().dispatch(request, *args, **kwargs)

    async def http_method_not_allowed(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        response = await super().http_method_not_allowed(request, *args, **kwargs)
        response["X-Sorry"] = "yes"
        return response


class Guide(AsyncTemplateView):
    template_name = "page.html"

    async def get(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        return await super().get(request, *args, shop="Bookshop", **kwargs)


class Page(AsyncTemplateView[TemplateResponse]):
    """The response's class is given, as Django's stubs let it be."""

    template_name = "page.html"
    response_class = TemplateResponse

    async def get(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> TemplateResponse:
        response = await super().get(request, *args, **kwargs)
        response.add_post_render_callback(mark)
        return response


class Elsewhere(AsyncRedirectView):
    permanent = False
    pattern_name = "books"

    async def aget_redirect_url(self, *args: Any, **kwargs: Any) -> str | None:
        return await super().aget_redirect_url(*args, **kwargs)

    async def post(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        return await super().post(request, *args, **kwargs)


class SyncElsewhere(AsyncRedirectView):
    pattern_name = "books"

    def get_redirect_url(self, *args: Any, **kwargs: Any) -> str | None:
        return super().get_redirect_url(*args, **kwargs)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return super().get(request, *args, **kwargs)


class Api(AsyncView):
    """Sync and async handlers in one class, with responses of their own kinds."""

    http_method_names = ["get", "post", "delete"]

    async def get(self, request: HttpRequest) -> JsonResponse:
        return JsonResponse(await latest_prices())

    def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(Book.objects.count())

    async def delete(self, request: HttpRequest) -> StreamingHttpResponse:
        async def lines() -> AsyncIterator[str]:
            yield "gone"

        return StreamingHttpResponse(lines())


# Mixins, in front and behind, ours and others'.


class PricesMixin(AsyncContextMixin):
    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = await super().aget_context_data(**kwargs)
        context["prices"] = await latest_prices()
        return context


class NewestFirstMixin(AsyncMultipleObjectMixin[Book]):
    async def aget_ordering(self) -> str:
        return "-published"


class OwnAuthorMixin(AsyncSingleObjectMixin[Book]):
    def get_queryset(self) -> QuerySet[Book]:
        return super().get_queryset().filter(author__name="me")


class PrefixMixin(AsyncFormMixin[BookForm]):
    async def aget_prefix(self) -> str | None:
        return "book"


class HeaderMixin(AsyncView):
    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        response["X-Header"] = "yes"
        return response


class LoginUrlMixin:
    login_url = "/login/"


class MixedBookList(PricesMixin, NewestFirstMixin, AsyncListView[Book], LoginUrlMixin):
    model = Book
    template_name = "page.html"


class BackwardBookList(AsyncListView[Book], PricesMixin):
    model = Book
    template_name = "page.html"


class PrivateBookList(LoginRequiredMixin, HeaderMixin, AsyncListView[Book]):
    model = Book
    template_name = "page.html"

    async def get(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        return await super().get(request, *args, **kwargs)


class OwnBookUpdate(PrefixMixin, OwnAuthorMixin, PricesMixin, BookUpdate):
    """All of them on one view."""


# Decorators.


@method_decorator(never_cache, name="dispatch")
@method_decorator([csrf_exempt, login_not_required], name="dispatch")
class Webhook(AsyncView):
    async def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


# As functions of a project's own take them.


def title(view: AsyncListView[Any] | AsyncDetailView[Any]) -> str:
    return str(view.template_name)


async def status(view: type[AsyncView], request: HttpRequest) -> int:
    response = await view.as_view()(request)
    return response.status_code


called: Callable[..., Coroutine[Any, Any, HttpResponseBase]] = BookList.as_view()
