"""django-debug-toolbar: what a request has done, shown in its page."""

import re
from typing import Any

from debug_toolbar.toolbar import DebugToolbar
from django.conf import settings

from tests.ecosystem.trying import Case, Site, tried

MIDDLEWARE = "debug_toolbar.middleware.DebugToolbarMiddleware"


@tried
class Toolbar(Case):
    package = "django-debug-toolbar"
    what = "`DebugToolbarMiddleware`"
    blocking = "debug_toolbar.middleware:DebugToolbarMiddleware._postprocess"
    note = "Only for development: it reads files and renders on the event loop."
    middleware = MIDDLEWARE
    settings = {
        "DEBUG": True,
        "INTERNAL_IPS": ["127.0.0.1"],
        "MIDDLEWARE": [MIDDLEWARE, *settings.MIDDLEWARE],
    }

    def view(self, views: Any) -> Any:
        return type("Page", (views.ListView,), self.attributes)

    def visits(self, site: Site) -> None:
        response = site.client().get("/")
        assert b"<p>Emma by Jane</p>" in response.content
        assert b'id="djDebug"' in response.content
        toolbar = DebugToolbar.fetch(response["djdt-request-id"])
        stats = toolbar.get_panel_by_id("SQLPanel").get_stats()
        statements = [query["raw_sql"] for query in stats["queries"]]
        # The books, and the author of each.
        assert sum('FROM "ecosystem_' in one for one in statements) == 4

    def shown(self, headers: dict[str, str], content: bytes) -> Any:
        return re.sub(rb'(?s)<div id="djDebug".*?(?=</body>)', b"", content)
