"""
Views that are wrong, and what each checker has to say of them.

`error -> mypy[code] pyright[rule]` expects one error for each code on the next line; a
checker that is not named has to find nothing there.
"""

from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import path

from django_async_cbv.auth.mixins import (
    AsyncPermissionRequiredMixin,
    AsyncUserPassesTestMixin,
)
from django_async_cbv.db import aatomic, agather
from django_async_cbv.sync import iterate, run_sync, to_async
from django_async_cbv.testing import count_hops
from django_async_cbv.trace import on_hop
from django_async_cbv.views import (
    AsyncArchiveIndexView,
    AsyncContextMixin,
    AsyncCreateView,
    AsyncDeleteView,
    AsyncDetailView,
    AsyncFormView,
    AsyncListView,
    AsyncModelFormSetView,
    AsyncRedirectView,
    AsyncTemplateView,
    AsyncUpdateView,
    AsyncView,
)
from django_async_cbv.views.exports import CSVView, NDJSONView
from django_async_cbv.views.streaming import (
    ChannelView,
    Event,
    LongPollView,
    ServerSentEventsView,
)
from tests.typing.bookshop.forms import BookForm, ContactForm
from tests.typing.bookshop.models import Author, Book
from tests.typing.bookshop.views import CountedBookList

# Twins: what they return, and take.


class WrongQueryset(AsyncListView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def aget_queryset(self) -> list[Book]:
        return []


class QuerysetOfAnotherModel(AsyncListView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def aget_queryset(self) -> QuerySet[Author]:
        return Author.objects.all()


class WrongContext(AsyncListView[Book]):
    # error -> mypy[override] mypy[override] pyright[reportIncompatibleMethodOverride]
    async def aget_context_data(self, **kwargs: Any) -> list[str]:
        # error -> mypy[return-value] pyright[reportReturnType]
        return await super().aget_context_data(**kwargs)


class TwinThatIsSync(AsyncListView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    def aget_queryset(self) -> QuerySet[Book]:
        return Book.objects.all()


class ForgottenAwait(AsyncListView[Book]):
    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().aget_context_data(**kwargs)
        # error -> mypy[index] pyright[reportIndexIssue]
        context["page"] = 1
        # error -> mypy[return-value] pyright[reportReturnType]
        return context


class WrongObject(AsyncDetailView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def aget_object(self, queryset: QuerySet[Book] | None = None) -> Author:
        return await Author.objects.aget()


class WrongArgument(AsyncListView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def aget_paginate_by(self, queryset: str) -> int:
        return len(queryset)


class MissingArgument(AsyncListView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def aget_paginate_by(self) -> int:
        return 10


class WrongFormArgument(AsyncCreateView[Book, BookForm]):
    # error -> mypy[override] mypy[override] pyright[reportIncompatibleMethodOverride]
    async def aform_valid(self, form: ContactForm) -> HttpResponse:
        return HttpResponse()


class WrongSuperArgument(AsyncDetailView[Book]):
    async def aget_object(self, queryset: QuerySet[Book] | None = None) -> Book:
        # error -> mypy[arg-type] pyright[reportArgumentType]
        return await super().aget_object("queryset")


class WrongTemplateNames(AsyncTemplateView):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def aget_template_names(self) -> str:
        return "page.html"


class WrongRedirect(AsyncRedirectView):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def aget_redirect_url(self, *args: Any, **kwargs: Any) -> int:
        return 302


class WrongDatedItems(AsyncArchiveIndexView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def aget_date_list_period(self) -> int:
        return 12


# Hooks as they were.


class WrongSyncQueryset(AsyncListView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    def get_queryset(self) -> int:
        return 1


class SyncHookThatIsAsync(AsyncListView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def get_queryset(self) -> QuerySet[Book]:
        return Book.objects.all()


class WrongSyncFormArgument(AsyncUpdateView[Book, BookForm]):
    # error -> mypy[override] mypy[override] pyright[reportIncompatibleMethodOverride]
    def form_valid(self, form: int) -> HttpResponse:
        return HttpResponse()


class WrongSuccessUrl(AsyncFormView[ContactForm]):
    form_class = ContactForm

    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    def get_success_url(self) -> None:
        return None


# Handlers and dispatch().


class WrongGet(AsyncListView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleVariableOverride]
    async def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> str:
        return "books"


class WrongSyncGet(AsyncListView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleVariableOverride]
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> str:
        return "books"


class WrongRequest(AsyncListView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleVariableOverride]
    async def get(self, request: int, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponse(request)


class GetWithoutAwait(AsyncListView[Book]):
    async def get(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        response = super().get(request, *args, **kwargs)
        # error -> mypy[index] pyright[reportIndexIssue]
        response["X-Page"] = "1"
        # error -> mypy[return-value] pyright[reportReturnType]
        return response


class WrongSuperRequest(AsyncListView[Book]):
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # error -> mypy[arg-type] pyright[reportArgumentType]
        return super().get("request")


class SyncAboveAsync(CountedBookList):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # error -> mypy[return-value] pyright[reportReturnType]
        return super().get(request, *args, **kwargs)


class WrongPost(AsyncCreateView[Book, BookForm]):
    # error -> mypy[override] mypy[override] pyright[reportIncompatibleVariableOverride]
    async def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        await super().post(request, *args, **kwargs)


class WrongRedirectPost(AsyncRedirectView):
    # error -> mypy[override] pyright[reportIncompatibleVariableOverride]
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> int:
        return 302


class WrongDispatch(AsyncView):
    # error -> mypy[override] pyright[reportIncompatibleVariableOverride]
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> str:
        return "response"


class WrongAsyncDispatch(AsyncView):
    # error -> mypy[override] pyright[reportIncompatibleVariableOverride]
    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> bytes:
        return b"response"


class DispatchWithoutAwait(AsyncView):
    async def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        # error -> mypy[return-value] pyright[reportReturnType]
        return super().dispatch(request, *args, **kwargs)


class AsyncSetup(AsyncView):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)


# Attributes.


class WrongModel(AsyncListView[Book]):
    # error -> mypy[assignment] pyright[reportAssignmentType]
    model = Author


class WrongFormClass(AsyncFormView[ContactForm]):
    # error -> mypy[assignment] pyright[reportAssignmentType]
    form_class = BookForm


class WrongPaginateBy(AsyncListView[Book]):
    # error -> mypy[assignment] pyright[reportAssignmentType]
    paginate_by = "20"


class WrongAttributeOfObject(AsyncDetailView[Book]):
    def get_template_names(self) -> list[str]:
        # error -> mypy[attr-defined] pyright[reportAttributeAccessIssue]
        return [self.object.cover]


# What the views are made with.


# error -> mypy[type-arg]
class WithoutArgument(AsyncListView):
    model = Book


# error -> mypy[type-arg]
class WithoutForm(AsyncFormView):
    form_class = ContactForm


# error -> mypy[type-var] pyright[reportInvalidTypeArguments]
class NotAModel(AsyncListView[int]):
    """A list of numbers."""


# error -> mypy[type-var] pyright[reportInvalidTypeArguments]
class FormOfNoModel(AsyncCreateView[Book, ContactForm]):
    """A form that can't be saved."""


# error -> mypy[type-var] pyright[reportInvalidTypeArguments]
# error -> mypy[type-var] pyright[reportInvalidTypeArguments]
class InTheWrongOrder(AsyncUpdateView[BookForm, Book]):
    """As FormView has it, not UpdateView."""


# error -> mypy[type-arg] pyright[reportInvalidTypeArguments]
class TooMany(AsyncDetailView[Book, BookForm]):
    """A detail view has no form."""


# error -> mypy[type-var] pyright[reportInvalidTypeArguments]
class NotAForm(AsyncDeleteView[Book, Author]):
    """Deleted by a model."""


# Mixins.


class ContextMixin(AsyncContextMixin):
    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**await super().aget_context_data(**kwargs), "page": 1}


class WrongMixin:
    async def aget_queryset(self) -> int:
        return 1


class WrongHandlerMixin:
    async def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> int:
        return 1


# error -> mypy[misc] pyright[reportIncompatibleMethodOverride]
class WithWrongMixin(WrongMixin, AsyncListView[Book]):
    """In front."""


# error -> mypy[misc] pyright[reportIncompatibleVariableOverride]
class WithWrongHandlerMixin(WrongHandlerMixin, AsyncListView[Book]):
    """In front."""


class WithBoth(ContextMixin, LoginRequiredMixin, AsyncListView[Book]):
    """The mistake is not in what it is made of."""

    async def aget_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = await super().aget_context_data(**kwargs)
        # error -> mypy[return-value] pyright[reportReturnType]
        return context["page"] + 1, context


# As functions.

urlpatterns = [
    # error -> mypy[arg-type] pyright[reportCallIssue] pyright[reportArgumentType]
    path("books/", AsyncListView),
    # error -> mypy[arg-type] pyright[reportCallIssue] pyright[reportArgumentType]
    path("books/", AsyncListView[Book].as_view),
]
# error -> mypy[assignment] pyright[reportAssignmentType]
response: HttpResponse = WrongModel.as_view()(HttpRequest())


def stock(title: str) -> int:
    return len(title)


async def wrong_calls_of_the_helper_layer() -> None:
    # error -> mypy[arg-type] pyright[reportArgumentType]
    await run_sync(stock, 3)
    # error -> mypy[call-arg] pyright[reportCallIssue]
    await to_async(stock)()
    # error -> mypy[call-overload] pyright[reportArgumentType]
    aatomic(savepoint="no")
    # error -> mypy[arg-type] pyright[reportArgumentType]
    await agather(Book.objects.all(), in_transaction="maybe")
    # error -> mypy[arg-type] pyright[reportArgumentType]
    iterate(3)


class WrongVerdict(AsyncUserPassesTestMixin, AsyncListView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    def atest_func(self) -> bool:
        return True


class WrongVerdictType(AsyncPermissionRequiredMixin, AsyncListView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def ahas_permission(self) -> str:
        return "yes"


class VerdictWithoutAwait(AsyncPermissionRequiredMixin, AsyncListView[Book]):
    async def ahas_permission(self) -> bool:
        # error -> mypy[return-value] pyright[reportReturnType]
        return super().ahas_permission()


# Formsets.


class WrongFormsetKwargs(AsyncModelFormSetView[Book]):
    # error -> mypy[override] mypy[override] pyright[reportIncompatibleMethodOverride]
    async def aget_formset_kwargs(self) -> list[str]:
        return []


class FormsetOfAnotherModel(AsyncModelFormSetView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def aget_queryset(self) -> QuerySet[Author]:
        return Author.objects.all()


class UnawaitedFormset(AsyncModelFormSetView[Book]):
    async def aformset_valid(self, formset: Any) -> HttpResponse:
        # error -> mypy[return-value] pyright[reportReturnType]
        return super().aformset_valid(formset)


# Hops.

# error -> mypy[call-arg] pyright[reportCallIssue]
count_hops(anywhere=True)
# error -> mypy[arg-type] pyright[reportArgumentType]
on_hop("name")


# Exports.


class WrongFields(CSVView[Book]):
    # error -> mypy[list-item] pyright[reportAssignmentType]
    fields = ["id", ("title", "Title", "one too many")]


class FieldsOfNumbers(CSVView[Book]):
    # error -> mypy[list-item] pyright[reportAssignmentType]
    fields = [1]


class RowOfAnother(CSVView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    def get_row(self, obj: Book) -> int:
        return 1


class AsyncRow(NDJSONView[Book]):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def get_row(self, obj: Book) -> list[Any]:
        return [1]


# Streams.


class CoroutineOfEvents(ServerSentEventsView):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def events(self) -> list[str]:
        return []


class PollWithoutCursor(LongPollView):
    # error -> mypy[override] pyright[reportIncompatibleMethodOverride]
    async def poll(self, since: str | None) -> list[str]:
        return []


class NoChannel(ChannelView):
    # error -> mypy[assignment] pyright[reportAssignmentType]
    channel = "news"


# error -> mypy[call-arg] pyright[reportCallIssue]
Event("data", "name")
