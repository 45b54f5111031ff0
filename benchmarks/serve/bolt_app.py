"""The same queries and templates under the server of django-bolt.

It keeps a connection for each thread of its own, whatever CONN_MAX_AGE is. Each page is
one call in its pool for database work, which has as many threads as the other servers.
"""

from django_bolt import BoltAPI
from django_bolt.concurrency import run_in_orm_executor
from django_bolt.responses import HTML

from benchmarks.serve import bare

api = BoltAPI(trailing_slash="keep", enable_logging=False, compression=False)


@api.get("/bolt/books/")
async def book_list(page: str = "1") -> HTML:
    return HTML(await run_in_orm_executor(bare.book_list, page))


@api.get("/bolt/books/{pk}/")
async def book_detail(pk: int) -> HTML:
    return HTML(await run_in_orm_executor(bare.book_detail, pk))


@api.get("/bolt/plain/")
async def plain() -> HTML:
    return HTML("Hello.")
