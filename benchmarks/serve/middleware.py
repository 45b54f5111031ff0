"""Middleware that is not Django's, as third parties write it."""

from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin


class HybridMiddleware(MiddlewareMixin):
    """Sync and async by Django's mixin, which calls both methods in a thread."""

    def process_request(self, request: HttpRequest) -> None:
        request.site_name = "benchmarks"  # type: ignore[attr-defined]

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        response["X-Site"] = request.site_name  # type: ignore[attr-defined]
        return response
