"""The typed views run on plain Django, without any stubs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.views import generic

from django_async_cbv import views

ROOT = Path(__file__).resolve().parent.parent.parent

SERVE = """
import sys

class NotInstalled:
    names = {"django_stubs_ext", "mypy", "mypy_django_plugin", "typing_extensions"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())

import django

django.setup()

from django.core.management import call_command
from django.test import Client
from django.views.generic import ListView

from tests.typing.bookshop.models import Author, Book

call_command("migrate", run_syncdb=True, verbosity=0)
author = Author.objects.create(name="someone")
me = Author.objects.create(name="me")
for title in ("first", "second", "third"):
    Book.objects.create(title=title, author=author, published="2026-02-03")
own = Book.objects.create(title="mine", author=me, published="2026-02-03")
form = {"title": " new ", "author": author.pk, "published": "2026-02-03"}

client = Client()
for method, path, status, data in [
    ("get", "/books/", 200, None),
    ("get", "/books/sync/?q=i", 200, None),
    ("get", "/books/priced/", 200, None),
    ("get", "/books/1/", 200, None),
    ("get", "/books/99/", 404, None),
    ("get", "/authors/1/", 200, None),
    ("get", "/contact/", 200, None),
    ("post", "/contact/", 302, {"message": "Hello"}),
    ("get", "/books/new/", 200, None),
    ("post", "/books/new/", 302, form),
    ("post", "/books/fields/", 302, form),
    ("post", "/books/1/edit/", 302, form),
    ("post", "/books/1/edit/", 422, {}),
    ("get", "/archive/", 200, None),
    ("get", "/archive/2026/", 200, None),
    ("get", "/archive/2026/02/", 200, None),
    ("get", "/archive/2026/week/5/", 200, None),
    ("get", "/archive/2026/02/03/", 200, None),
    ("get", "/archive/2026/02/03/1/", 200, None),
    ("get", "/today/", 200, None),
    ("get", "/books/counted/", 200, None),
    ("get", "/books/counted/sync/", 200, None),
    ("get", "/books/1/reserved/", 200, None),
    ("post", "/books/1/reserved/", 200, {}),
    ("get", "/again/", 200, None),
    ("post", "/again/", 200, {}),
    ("put", "/again/", 200, None),
    ("post", "/books/1/traced/", 302, form),
    ("get", "/books/guarded/", 302, None),
    ("get", "/guide/start/", 200, None),
    ("get", "/page/", 200, None),
    ("get", "/elsewhere/", 302, None),
    ("post", "/elsewhere/", 302, {}),
    ("get", "/elsewhere/sync/", 302, None),
    ("get", "/api/", 200, None),
    ("post", "/api/", 200, {}),
    ("delete", "/api/", 200, None),
    ("put", "/api/", 405, None),
    ("get", "/books/mixed/", 200, None),
    ("get", "/books/backward/", 200, None),
    ("get", "/books/private/", 302, None),
    ("get", f"/books/{own.pk}/own/", 200, None),
    ("get", "/books/1/own/", 404, None),
    ("post", "/webhook/", 200, {}),
    ("post", "/books/2/delete/", 302, {}),
    ("post", "/books/3/confirm/", 302, {"really": "on"}),
]:
    response = getattr(client, method)(path, data)
    if response.status_code != status:
        sys.exit(f"{method} {path}: {response.status_code}, not {status}")

if hasattr(ListView, "__class_getitem__"):
    sys.exit("Django has been patched by its stubs.")
print("served")
"""


def test_every_view_of_the_bookshop_answers_without_stubs():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SERVE],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.typing.bookshop.settings"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "served\n", done.stderr


@pytest.mark.parametrize("name", views.__all__)
def test_every_view_takes_type_arguments_as_a_base(name):
    cls = getattr(views, name)
    assert cls[int] is cls[int, str] is cls
    made = type("Made", (cls[int],), {})
    assert made.__mro__[1] is cls
    assert made[int] is made
    assert issubclass(cls, getattr(generic, name.removeprefix("Async"), object))
