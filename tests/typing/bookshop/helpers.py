"""The helper layer, as a project's own async code calls it."""

import functools
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import assert_type

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from django_async_cbv.db import aatomic, agather
from django_async_cbv.sync import iterate, run_sync, to_async
from tests.typing.bookshop.models import Book


def count(title: str, *, limit: int = 10) -> int:
    return Book.objects.filter(title=title)[:limit].count()


@to_async
def titles(limit: int) -> Generator[str]:
    yield from Book.objects.values_list("title", flat=True)[:limit]


@to_async
@contextmanager
def locked(name: str) -> Iterator[int]:
    yield len(name)


class Lock:
    def __enter__(self) -> str:
        return "held"

    def __exit__(self, *error: object) -> None: ...


class Shop:
    @to_async
    def sell(self, book: Book, copies: int) -> bool:
        return copies > 0


async def remote(title: str) -> float:
    return 1.0


async def functions() -> None:
    assert_type(await run_sync(count, "Tides", limit=3), int)
    acount = to_async(count)
    assert_type(await acount("Tides", limit=3), int)
    assert_type(await to_async(functools.partial(count, "Tides"))(), int)
    assert_type(await to_async(remote)("Tides"), float)
    assert_type(await Shop().sell(Book(), 3), bool)
    assert_type(titles(3), AsyncGenerator[str, None])
    async for title in titles(3):
        assert_type(title, str)


async def context_managers() -> None:
    assert_type(locked("a"), AbstractAsyncContextManager[int])
    async with locked("a") as length:
        assert_type(length, int)
    async with to_async(Lock()) as held:
        assert_type(held, str)


async def iteration(books: QuerySet[Book]) -> None:
    async for book in iterate(books, chunk_size=500):
        assert_type(book, Book)
    async for number in iterate([1, 2]):
        assert_type(number, int)
    async for character in iterate(titles(3)):
        assert_type(character, str)


@aatomic
async def transfer(book: Book, copies: int) -> bool:
    async with aatomic(using="default", savepoint=False):
        await book.asave()
    return True


@aatomic("default", durable=True)
async def order(request: HttpRequest) -> HttpResponse:
    assert_type(await transfer(Book(), 3), bool)
    return HttpResponse()


def set_tenant(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET app.tenant TO 'acme'")


async def dashboard() -> None:
    results = await agather(
        Book.objects.all(),
        Book.objects.count,
        lambda: count("Tides"),
        limit=4,
        in_transaction="serial",
        prepare=set_tenant,
    )
    assert_type(len(results), int)
    await agather(Book.objects.count, prepare=lambda connection: connection.alias)
