"""django-csp: the policy of a page, where it is another than the site's."""

from typing import Any

from csp.decorators import csp, csp_exempt, csp_replace, csp_update
from django.conf import settings

from tests.ecosystem.trying import Decorated, Site, tried

IMAGES = "https://images.example"


class Policy(Decorated):
    package = "django-csp"
    settings = {
        "MIDDLEWARE": [*settings.MIDDLEWARE, "csp.middleware.CSPMiddleware"],
    }
    # In the header they have no order.
    expected: set[str]

    def visits(self, site: Site) -> None:
        response = site.client().get("/")
        assert b"Emma by Jane" in response.content
        said = response.get("Content-Security-Policy", "")
        assert set(filter(None, said.split("; "))) == self.expected
        assert site.client().get("/shelf/")["Content-Security-Policy"] == (
            "default-src 'self'"
        )

    def shown(self, headers: dict[str, str], content: bytes) -> Any:
        return content


@tried
class Csp(Policy):
    what = "`csp` on `dispatch`"
    decorator = csp({"default-src": ["'none'"], "img-src": [IMAGES]})
    expected = {"default-src 'none'", f"img-src {IMAGES}"}


@tried
class CspUpdate(Policy):
    what = "`csp_update` on `dispatch`"
    decorator = csp_update({"img-src": [IMAGES]})
    expected = {"default-src 'self'", f"img-src {IMAGES}"}


@tried
class CspReplace(Policy):
    what = "`csp_replace` on `dispatch`"
    decorator = csp_replace({"default-src": ["'none'"]})
    expected = {"default-src 'none'"}


@tried
class CspExempt(Policy):
    what = "`csp_exempt` on `dispatch`"
    decorator = csp_exempt()
    expected = set()


@tried
class CspAround(Csp):
    what = "`csp` around the view"
    in_urlconf = True
    note = "Put it on `dispatch` if the view has an `async def` handler."
