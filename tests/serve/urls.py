"""Views whose middleware has something to do, or nothing."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token, rotate_token
from django.shortcuts import redirect
from django.urls import path, register_converter
from django.utils import translation
from django.views.decorators.csrf import csrf_exempt

from django_async_cbv.sync import run_sync
from tests.app.models import Tag


class TagConverter:
    """It queries; Django allows that, and has it in a worker under WSGI."""

    regex = "[a-z]+"

    def to_python(self, value):
        if not Tag.objects.filter(name=value).exists():
            raise ValueError
        return value

    def to_url(self, value):
        return value


register_converter(TagConverter, "tag")


async def page(request, **kwargs):
    return HttpResponse("<p>page</p>")


@login_not_required
async def open_page(request):
    return HttpResponse("open")


async def missing(request):
    raise Http404


async def forbidden(request):
    raise PermissionDenied


async def broken(request):
    raise ValueError("broken")


async def read_session(request):
    return HttpResponse(f"{await request.session.aget('color')}")


async def read_user(request):
    return HttpResponse(f"{(await request.auser()).is_authenticated}")


async def write_session(request):
    await request.session.aset("color", "green")
    return HttpResponse("written")


async def write_session_and_fail(request):
    await request.session.aset("color", "green")
    return HttpResponse("failed", status=503)


async def expire_session(request):
    await request.session.aset_expiry(0)
    return HttpResponse("until the browser closes")


async def clear_session(request):
    request.session.clear()
    return HttpResponse("cleared")


async def flush_session(request):
    await request.session.aflush()
    return HttpResponse("flushed")


async def drop_session(request):
    del request.session
    return HttpResponse("dropped")


async def token(request):
    return HttpResponse(get_token(request))


async def rotated(request):
    rotate_token(request)
    return HttpResponse(get_token(request))


async def add_message(request):
    messages.success(request, "Saved.")
    return redirect("/")


async def add_many_messages(request):
    for number in range(60):
        messages.info(request, f"Number {number}, which needs a place to be stored.")
    return HttpResponse("added")


async def read_messages(request):
    # They may be in the session.
    shown = await run_sync(lambda: list(messages.get_messages(request)))
    return HttpResponse(", ".join(map(str, shown)))


async def body(request, size):
    return HttpResponse(b"<p>word</p>\n" * (size // 12) + b"." * (size % 12))


async def tagged(request):
    return HttpResponse("x" * 500, headers={"ETag": '"tag"'})


async def dated(request):
    return HttpResponse(
        "old", headers={"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    )


async def not_stored(request):
    return HttpResponse("secret", headers={"Cache-Control": "no-store"})


async def encoded(request):
    return HttpResponse("y" * 500, headers={"Content-Encoding": "br"})


async def parts():
    for _ in range(3):
        yield b"z" * 40_000


async def stream(request):
    return StreamingHttpResponse(parts())


async def sync_stream(request):
    return StreamingHttpResponse(b"z" * 40_000 for _ in range(3))


async def greeting(request):
    return HttpResponse(translation.gettext("Yes"))


async def in_danish(request):
    translation.activate("da")
    return HttpResponse(translation.gettext("Yes"))


def sync_page(request):
    return HttpResponse("sync")


urlpatterns = [
    path("", page),
    path("sync/", sync_page),
    path("missing/", missing),
    path("missing", missing),
    path("forbidden/", forbidden),
    path("broken/", broken),
    path("session/read/", read_session),
    path("session/write/", write_session),
    path("session/fail/", write_session_and_fail),
    path("session/expire/", expire_session),
    path("session/clear/", clear_session),
    path("session/flush/", flush_session),
    path("session/drop/", drop_session),
    path("user/", read_user),
    path("token/", token),
    path("token/rotated/", rotated),
    path("exempt/", csrf_exempt(page)),
    path("open/", open_page),
    path("messages/add/", add_message),
    path("messages/many/", add_many_messages),
    path("messages/read/", read_messages),
    path("body/<int:size>/", body),
    path("tagged/", tagged),
    path("dated/", dated),
    path("not-stored/", not_stored),
    path("encoded/", encoded),
    path("stream/", stream),
    path("sync-stream/", sync_stream),
    path("greeting/", greeting),
    path("danish/", in_danish),
    path("tag/<tag:name>/", page),
]
