"""Sphinx's configuration."""

from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Generic, get_origin
from zipfile import ZipFile

import django
from django.conf import settings
from django_async_cbv.core.twins import TwinMixin
from sphinx.application import Sphinx

# The auth views import models.
settings.configure(
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
    ]
)
django.setup()

project = "django-async-cbv"
author = "The django-async-cbv contributors"
copyright = f"2026, {author}"
release = version = installed_version(project)

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_reredirects",
]
exclude_patterns = [
    "_build",
    "inventories",
    # Other pages include these files.
    "how-to/middleware-table.md",
    "reference/hop-table.md",
    "reference/stream-hop-table.md",
    "reference/hooks",
]

# Old address: new address. All pages were in one folder before.
redirects = {
    "access": "how-to/access.html",
    "asgi": "how-to/execution-layer.html",
    "audit": "how-to/tools/audit.html",
    "auth": "how-to/login.html",
    "base": "reference/views/base.html",
    "channels": "how-to/stream/channels.html",
    "colours": "explanation/what-runs-where.html",
    "concurrent-queries": "how-to/query-concurrently.html",
    "convert": "how-to/tools/convert.html",
    "dates": "reference/views/dates.html",
    "detail": "reference/views/detail.html",
    "ecosystem": "reference/ecosystem.html",
    "edit": "reference/views/edit.html",
    "errors": "reference/checks.html",
    "exports": "how-to/stream/exports.html",
    "forms": "how-to/forms.html",
    "formsets": "how-to/formsets.html",
    "getting-started": "how-to/migrate.html",
    "hops": "explanation/hops.html",
    "inline-middleware": "how-to/middleware.html",
    "iteration": "how-to/iterate.html",
    "list": "reference/views/list.html",
    "long-polling": "how-to/stream/long-polling.html",
    "reference": "reference/api.html",
    "server-sent-events": "how-to/stream/server-sent-events.html",
    "servers": "how-to/deploy/servers.html",
    "streams": "how-to/stream/streams.html",
    "sync-code": "how-to/sync-code.html",
    "synchronous-only-operation": "how-to/troubleshoot.html",
    "testing": "how-to/test.html",
    "testing-hops": "how-to/tools/limit-hops.html",
    "transactions": "how-to/transactions.html",
}

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

# From a file in the repository, so that the build needs no network.
intersphinx_mapping = {
    "django": (
        "https://docs.djangoproject.com/en/6.1/",
        "inventories/django.inv",
    ),
}

# The base class of the panel, and an app of Django's.
autodoc_mock_imports = ["debug_toolbar"]
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "exclude-members": "form_class",  # a class attribute of Django's
}
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_custom_sections = ["Runs on"]
default_role = "code"
nitpicky = True
# Which Django's reference leaves out, and the toolbar's too.
nitpick_ignore = [
    ("py:class", "debug_toolbar.panels.Panel"),
    ("py:class", "django.contrib.auth.views.PasswordContextMixin"),
    ("py:class", "django.contrib.auth.views.RedirectURLMixin"),
    # Whose reference is not in `inventories`.
    ("py:exc", "redis.exceptions.RedisError"),
]

# Copied without the prompt and the output.
copybutton_prompt_text = "$ "

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["docs.css"]
html_title = f"django-async-cbv {release}"


def show_bases(
    app: Sphinx, name: str, obj: type, options: Any, bases: list[Any]
) -> None:
    """Show classes that a reader knows, without type arguments."""
    classes = [get_origin(base) or base for base in bases]
    # In the place of a private class, the one that it is derived from.
    classes = [
        base.__bases__[0] if base.__name__.startswith("_") else base
        for base in classes
    ]
    bases[:] = [
        base
        for base in classes
        if base not in {TwinMixin, Generic}
        and "._" not in base.__module__
    ]


def pack_library(app: Sphinx, config: Any) -> None:
    """Write the archive that readers download."""
    folder = Path(app.srcdir) / "library"
    archive = Path(app.srcdir) / "_build" / "library.zip"
    archive.parent.mkdir(exist_ok=True)
    with ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".html", ".py"}:
                file.write(path, path.relative_to(folder.parent))


def setup(app: Sphinx) -> None:
    """Connect what is written here."""
    app.connect("config-inited", pack_library)
    app.connect("autodoc-process-bases", show_bases)
