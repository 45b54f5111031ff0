"""A small site, as its own URLconf, and the middleware of others that it may have."""

from __future__ import annotations

from asgiref.sync import markcoroutinefunction
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.views import generic
from django.views.decorators.cache import cache_page
from django.views.decorators.csrf import csrf_exempt

from django_async_cbv import views
from tests.models import Author, Book


class AuthorList(views.AsyncListView):
    model = Author


class AuthorDetail(views.AsyncDetailView):
    model = Author


class BookYears(views.AsyncArchiveIndexView):
    model = Book
    date_field = "published"


class AuthorCreate(views.AsyncCreateView):
    model = Author
    fields = ("name", "slug")
    template_name = "page.html"
    success_url = "/authors/"


class DjangosList(generic.ListView):
    model = Author


def rendered(request):
    return TemplateResponse(request, "page.html", {"object_list": Author.objects.all()})


def missing(request):
    raise Http404


async def awaited(request):
    return HttpResponse("awaited")


async def awaited_missing(request):
    raise Http404


async def awaited_forbidden(request):
    raise PermissionDenied


class ContextAwaited(AuthorList):
    async def aget_context_data(self, **kwargs):
        return await super().aget_context_data(**kwargs)


class QuerySetAwaited(AuthorList):
    async def aget_queryset(self):
        return await super().aget_queryset()


class ObjectAwaited(AuthorDetail):
    async def aget_object(self, queryset=None):
        return await super().aget_object(queryset)


class YearsAwaited(BookYears):
    async def aget_context_data(self, **kwargs):
        return await super().aget_context_data(**kwargs)


class ValidAwaited(AuthorCreate):
    async def aform_valid(self, form):
        return await super().aform_valid(form)


urlpatterns = [
    path("authors/", AuthorList.as_view()),
    path("authors/<slug:slug>/", AuthorDetail.as_view()),
    path("years/", BookYears.as_view()),
    path("create/", AuthorCreate.as_view()),
    path("djangos/", DjangosList.as_view()),
    path("rendered/", rendered),
    path("missing/", missing),
    path("awaited/", awaited),
    path("awaited-missing/", awaited_missing),
    path("awaited-missing", awaited_missing),
    path("awaited-forbidden/", awaited_forbidden),
    path("context-awaited/", ContextAwaited.as_view()),
    path("queryset-awaited/", QuerySetAwaited.as_view()),
    path("object-awaited/<slug:slug>/", ObjectAwaited.as_view()),
    path("years-awaited/", YearsAwaited.as_view()),
    path("valid-awaited/", ValidAwaited.as_view()),
    path("login-required/", login_required(AuthorList.as_view())),
    path("cached/", cache_page(60)(AuthorList.as_view())),
    path("exempt/", csrf_exempt(AuthorCreate.as_view())),
]


class SyncOnly:
    """What most middleware of third parties is."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        response["X-Layers"] = str(int(response.get("X-Layers", 0)) + 1)
        return response


class TemplateResponseMiddleware(SyncOnly):
    def process_template_response(self, request, response):
        response.context_data = {**(response.context_data or {}), "object": "changed"}
        return response


class Gone:
    """Async middleware that answers otherwise where a page is missing."""

    sync_capable, async_capable = False, True

    def __init__(self, get_response):
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request):
        response = await self.get_response(request)
        return HttpResponse(status=410) if response.status_code == 404 else response


class Hears(Gone):
    """Async middleware that hears what views raise."""

    def process_exception(self, request, exception):
        return None

    async def __call__(self, request):
        return await self.get_response(request)
