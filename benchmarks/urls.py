"""Each contender's pages, under the name of its module."""

import os
from importlib import import_module

from django.http import HttpResponse
from django.urls import URLPattern, URLResolver, include, path

from benchmarks.contenders import BASELINE, CONTENDERS
from benchmarks.views import exports, probes

__all__ = ["missing", "urlpatterns"]

urlpatterns: list[URLResolver] = []

# The optional contenders that can't be had here, each with the reason.
missing: dict[str, str] = {}


# What `python -m benchmarks serve` and its like ask for, where a contender has it.
MORE = {
    "plain/": "plain",
    "reviews/add/": "review_create",
    "calls/": "calls",
    "books/<int:pk>/price/": "book_price",
    "books/<int:pk>/offer/": "book_offer",
    "books/<int:pk>/offer-related/": "book_offer_related",
    "books/<int:pk>/offer-by-hook/": "book_offer_by_hook",
}


def _patterns(name: str) -> list[URLPattern]:
    views = import_module(f"benchmarks.views.{name}")
    return [
        path("books/", views.book_list),
        path("books/<int:pk>/", views.book_detail),
        path("rates/", views.book_rates),
        *(
            path(route, getattr(views, view))
            for route, view in MORE.items()
            if hasattr(views, view)
        ),
    ]


# What comes first is found first, by a microsecond: the baseline, so that it has no
# reason to complain.
for contender in sorted(CONTENDERS.values(), key=lambda one: one.key != BASELINE):
    if contender.views in {str(resolver.pattern)[:-1] for resolver in urlpatterns}:
        continue
    try:
        patterns = _patterns(contender.views)
        urlpatterns.append(path(f"{contender.views}/", include(patterns)))
    except Exception as error:
        if not contender.optional:
            raise
        missing[contender.key] = f"{type(error).__name__}: {error}"

urlpatterns.append(
    path(
        "probes/",
        include(
            [
                path("inside/", probes.inside),
                path("idle/", probes.idle),
                path("slow-query/", probes.slow_query),
                path("slow/", probes.slow),
                path("wait/<int:pk>/", probes.wait),
                path("large/", probes.large),
                path("large-stream/", probes.large_stream),
                path("upload/", probes.upload),
            ]
        ),
    )
)

if "BENCHMARK_CHANNELS" in os.environ:
    from benchmarks.views import news

    urlpatterns.append(path("news/", news.News.as_view()))

urlpatterns.append(
    path(
        "exports/",
        include(
            [
                # Makes the resolver, and opens no connection.
                path("warm-up/", lambda request: HttpResponse()),
                *(
                    path(f"{kind}/{name}/", view)
                    for kind, views in exports.VIEWS.items()
                    for name, view in views.items()
                ),
            ]
        ),
    )
)
