"""The same queries and templates under Starlette, in a thread of its pool."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from benchmarks.serve import bare

_list = bare.with_connection(bare.book_list)
_detail = bare.with_connection(bare.book_detail)


# Starlette calls a sync endpoint in a thread.
def book_list(request: Request) -> HTMLResponse:
    return HTMLResponse(_list(request.query_params.get("page", "1")))


def book_detail(request: Request) -> HTMLResponse:
    return HTMLResponse(_detail(request.path_params["pk"]))


async def plain(request: Request) -> HTMLResponse:
    return HTMLResponse("Hello.")


@asynccontextmanager
async def lifespan(application: Starlette) -> AsyncIterator[None]:
    limiter = anyio.to_thread.current_default_thread_limiter()
    limiter.total_tokens = int(os.environ["BENCHMARK_THREADS"])
    yield


application = Starlette(
    routes=[
        Route("/starlette/books/", book_list),
        Route("/starlette/books/{pk:int}/", book_detail),
        Route("/starlette/plain/", plain),
    ],
    lifespan=lifespan,
)
