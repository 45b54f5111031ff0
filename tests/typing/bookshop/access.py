"""Access mixins, auth views, messages and async validation, as projects write them."""

from typing import Any, assert_type

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import path

from django_async_cbv.auth.mixins import (
    AsyncLoginRequiredMixin,
    AsyncPermissionRequiredMixin,
    AsyncUserPassesTestMixin,
)
from django_async_cbv.auth.views import (
    AsyncLoginView,
    AsyncLogoutView,
    AsyncPasswordChangeView,
)
from django_async_cbv.forms import ais_valid
from django_async_cbv.messages import AsyncSuccessMessageMixin
from django_async_cbv.views import (
    AsyncCreateView,
    AsyncListView,
    AsyncUpdateView,
    AsyncView,
)
from tests.typing.bookshop.forms import BookForm
from tests.typing.bookshop.models import Book


class MemberList(AsyncLoginRequiredMixin, AsyncListView[Book]):
    model = Book

    async def aget_login_url(self) -> str:
        return await super().aget_login_url() + "?from=list"


class StaffList(AsyncUserPassesTestMixin, AsyncListView[Book]):
    model = Book

    def test_func(self) -> bool:
        return self.request.user.is_authenticated


class OwnerEdit(AsyncUserPassesTestMixin, AsyncUpdateView[Book, BookForm]):
    model = Book
    form_class = BookForm

    async def atest_func(self) -> bool:
        book = await self.aget_object()
        assert_type(book, Book)
        return book.pk is not None


class Buyers(AsyncPermissionRequiredMixin, AsyncView):
    permission_required = "shop.buy"

    async def ahas_permission(self) -> bool:
        return await super().ahas_permission() and not self.request.GET

    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


class AsyncGate(AsyncLoginRequiredMixin, AsyncView):
    async def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        return await super().dispatch(request, *args, **kwargs)


class Login(AsyncLoginView):
    redirect_authenticated_user = True

    async def aform_valid(self, form: AuthenticationForm) -> HttpResponse:
        response = await super().aform_valid(form)
        assert_type(await self.aget_success_url(), str)
        return response


class BookCreate(AsyncSuccessMessageMixin, AsyncCreateView[Book, BookForm]):
    model = Book
    form_class = BookForm
    success_message = "%(title)s is in."

    async def aget_success_message(self, cleaned_data: dict[str, str]) -> str:
        return await super().aget_success_message(cleaned_data)


class SignUp(forms.Form):
    name = forms.CharField()

    async def aclean_name(self) -> str:
        return str(self.cleaned_data["name"])


async def sign_up(request: HttpRequest) -> HttpResponse:
    form = SignUp(request.POST)
    assert_type(await ais_valid(form), bool)
    return HttpResponse()


urlpatterns = [
    path("members/", MemberList.as_view()),
    path("staff/", StaffList.as_view()),
    path("edit/<int:pk>/", OwnerEdit.as_view()),
    path("login/", Login.as_view()),
    path("logout/", AsyncLogoutView.as_view(next_page="/")),
    path("password/", AsyncPasswordChangeView.as_view()),
]
