"""No access mixin of another package grants what would have to be awaited."""

import asyncio
import itertools
from importlib import import_module

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import RequestFactory

from django_async_cbv.core.guards import GUARDED
from django_async_cbv.views import AsyncView
from tests.auth.test_mixins import ASKED, asked

MODULES = (
    "allauth.account.mixins",
    "braces.views",
    "django.contrib.auth.mixins",
    "guardian.mixins",
    "rules.contrib.views",
)
# Each class of theirs that has a check which a user may write.
FOUND = {
    (mixin, hook): f"{name}.{mixin.__name__}.{hook}"
    for name in MODULES
    for mixin in vars(import_module(name)).values()
    for hook in GUARDED
    if isinstance(mixin, type) and hasattr(mixin, "dispatch") and hasattr(mixin, hook)
}


# What a mixin wants to be told before it asks.
OPTIONS = {"group_required": "staff"}


class Secret(AsyncView):
    def get(self, request):
        return HttpResponse("secret")


class AsyncSecret(Secret):
    async def get(self, request):
        await asyncio.sleep(0)
        return HttpResponse("secret")


def request():
    made = RequestFactory().get("/")
    made.user = User(username="ann", is_superuser=True)
    return made


def returning(make):
    return lambda self: lambda *args: make()


def test_each_package_has_such_a_mixin():
    packages = {mixin.__module__.partition(".")[0] for mixin, _ in FOUND}
    assert packages == {"allauth", "braces", "django", "guardian", "rules"}
    assert {hook for _, hook in FOUND} == set(GUARDED)


@pytest.mark.parametrize(("mixin", "hook"), FOUND, ids=FOUND.values())
def test_nobody_is_let_in(mixin, hook):
    for make, base in itertools.product(ASKED.values(), (Secret, AsyncSecret)):
        value = asked(hook, make)
        if hook == "get_test_func":
            # Django calls the test without arguments, django-braces with the user.
            value = returning(make)
        view = type("View", (mixin, base), {hook: value, **OPTIONS}).as_view()

        async def visit(view=view):
            return await view(request())

        with pytest.raises(ImproperlyConfigured, match="Access is denied"):
            asyncio.run(visit())
