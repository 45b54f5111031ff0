"""Tell where the documentation is, by the metadata of the installed package."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

__all__ = ["documentation", "link_to"]


@cache
def documentation() -> str:
    """Return `Documentation` of `[project.urls]`, or nothing while it is missing."""
    try:
        urls = metadata("django-async-cbv").get_all("Project-URL") or ()
    except PackageNotFoundError:  # on sys.path, without an installation
        return ""
    found = dict(one.split(", ", 1) for one in urls)
    address = found.get("Documentation", "")
    return f"{address.rstrip('/')}/" if address else ""


def link_to(check: str) -> str:
    """Return what a message adds for its section of the reference, after a space."""
    if not (address := documentation()):
        return ""
    # As Sphinx makes an anchor of the section's label.
    anchor = check.lower().replace("_", "-").replace(".", "-")
    return f" {address}reference/checks.html#{anchor}"
