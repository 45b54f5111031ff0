"""Sphinx's configuration."""

import re
from contextlib import asynccontextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Generic, get_origin
from zipfile import ZipFile

import django
from django.conf import settings
from django.utils.module_loading import import_string
from django_async_cbv.core.address import documentation
from django_async_cbv.core.hooks import Hook
from django_async_cbv.core.marks import mark_of
from django_async_cbv.core.twins import TwinMixin, plan_of
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

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
    "reference": "reference/index.html",
    "reference/api": "index.html",
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
DJANGO = Path(__file__).with_name("inventories") / "django.inv"
# The version of Django that the file is of.
[django_version] = re.findall(
    rb"^# Version: (.+)$", DJANGO.read_bytes(), re.MULTILINE
)
intersphinx_mapping = {
    "django": (
        f"https://docs.djangoproject.com/en/{django_version.decode()}/",
        str(DJANGO),
    ),
}

# The base class of the panel, and what the plugin is for.
autodoc_mock_imports = ["debug_toolbar", "pytest"]
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "exclude-members": "form_class",  # a class attribute of Django's
}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_display_short_literal_types = True
python_maximum_signature_line_length = 72
napoleon_custom_sections = ["Runs on"]
default_role = "code"
nitpicky = True
# Which Django's reference leaves out, and the toolbar's too.
nitpick_ignore = [
    ("py:exc", "asyncio.CancelledError"),
    ("py:class", "debug_toolbar.panels.Panel"),
    ("py:class", "django.contrib.auth.views.PasswordContextMixin"),
    ("py:class", "django.contrib.auth.views.RedirectURLMixin"),
    # Django's reference names it as django.http.StreamingHttpResponse.
    ("py:class", "django.http.response.StreamingHttpResponse"),
    # Whose reference is not in `inventories`.
    ("py:exc", "redis.exceptions.RedisError"),
]

# Copied without the prompt and the output.
copybutton_prompt_text = "$ "

html_theme = "furo"
html_baseurl = documentation()
html_static_path = ["static"]
html_css_files = ["docs.css"]
html_js_files = [("old-addresses.js", {"defer": "defer"})]
html_title = f"django-async-cbv {release}"


# What channels have in common. Their pages list the methods.
PARTS = {"Shared", "Subscribable"}


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
        and base.__name__ not in PARTS
    ] or [object]


# A name in an annotation: the one that a reader knows.
NAMES = {
    r"Callable\[\[~?(?:[\w.]+\.)?_P\]": "Callable[P",
    r"\*(args|kwargs): ~typing\.~?_P": r"*\1: P.\1",
    r"django\.http\.(request|response)\.": "django.http.",
    r"(?<![\w.])(HttpRequest|HttpResponse)\b": r"~django.http.\1",
    r"(~?[\w.]+\.)?\b_M\b": "~django.db.models.Model",
    r"(~?[\w.]+\.)?\b_(Model|Delete)?F\b": "~django.forms.Form",
    # Other private names, without the module.
    r"(~?[\w.]+\.)?\b_([A-Z]\w*)": r"\2",
    r"~?django_async_cbv\.core\.naming\.": "~django_async_cbv.trace.",
    r"~?django_async_cbv\._blocking\.\w+\.": (
        "~django_async_cbv.blocking."
    ),
    r"~?django_async_cbv\._testing\.\w+\.": (
        "~django_async_cbv.testing."
    ),
    r"~?django_async_cbv\.channels\.base\.": (
        "~django_async_cbv.channels."
    ),
    r"~?django_async_cbv\.serve\.pool\.": "~django_async_cbv.asgi.",
}
# Classes that the package calls, not a user.
MADE = {
    "Channel",
    "HopsPanel",
    "OpenStream",
    "StreamResponse",
    "Subscriber",
    "Subscription",
}
# What an internal alias stands for.
ALIASES = {
    "Answer": "~django.http.HttpResponse",
    "BaseAnswer": "~django.http.HttpResponseBase",
}
INTERNAL = re.compile(
    r"(?:~?[\w.]+\.)?(?:Calls|Body|Generator)\["
    r"(?:~?[\w.]*\bCall, Any, )?(.+)\]"
)
# What each function that @asynccontextmanager makes runs.
CONTEXT = asynccontextmanager(aiter).__code__


def show_types(
    app: Sphinx,
    what: str,
    name: str,
    obj: Any,
    options: Any,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Show the types that a caller sees, and no private name."""
    if returns and re.search(r"Call, |Calls\[|Body\[", returns):
        returns = INTERNAL.sub(r"\1", returns)
    if returns:
        alias = returns.rpartition(".")[2].lstrip("~")
        returns = ALIASES.get(alias, returns)
    if returns and getattr(obj, "__code__", None) is CONTEXT:
        returns = returns.replace(
            "~collections.abc.AsyncGenerator",
            "~contextlib.AbstractAsyncContextManager",
        ).replace(", None]", "]")
    if what == "class" and name.rpartition(".")[2] in MADE:
        signature = ""
    if name.startswith("django_async_cbv.pytest_plugin."):
        # A test gets what a fixture yields, and gives nothing.
        signature = "()"
        returns = re.sub(
            r"^[\w.~]*Generator\[(.*)\]$", r"\1", returns or ""
        )
        returns = re.sub(
            r"^~?(blocking|hops|dropped)\.",
            "~django_async_cbv.testing.",
            returns,
        )
    return _with_known_names(signature), _with_known_names(returns)


def _with_known_names(text: str | None) -> str | None:
    for pattern, known in NAMES.items():
        text = text and re.sub(pattern, known, text)
    return text


def leave_without_link(
    app: Sphinx,
    env: Any,
    node: addnodes.pending_xref,
    contnode: nodes.Node,
) -> nodes.Node | None:
    """Show a type without a page in the inventories as text."""
    parent = node.parent
    while parent is not None:
        if isinstance(parent, addnodes.desc_signature):
            return contnode
        parent = parent.parent
    return None


# Where Django's code runs in a class without overrides.
RUNS_ON = {
    "as the handler": (
        "Where the HTTP method handler runs. No hop of its own."
    ),
    "event loop": "The event loop, without a hop.",
    "either": (
        "The event loop, without a hop, if only Django's code runs. "
        "Otherwise a worker thread, in one hop."
    ),
    "worker thread": (
        "A worker thread. Sync methods that follow each other share "
        "one hop."
    ),
}

# An exception of a section "Raises", by the name that has a page.
ERRORS = {
    "CancelledError": "asyncio.CancelledError",
    "Http404": "~django.http.Http404",
    "ImproperlyConfigured": (
        "~django.core.exceptions.ImproperlyConfigured"
    ),
    "PermissionDenied": "~django.core.exceptions.PermissionDenied",
    "TransactionManagementError": (
        "~django.db.transaction.TransactionManagementError"
    ),
}


def tell_where_it_runs(
    app: Sphinx,
    what: str,
    name: str,
    obj: Any,
    options: Any,
    lines: list[str],
) -> None:
    """Add the name of the sync method, and where the method runs."""
    text = "\n".join(lines)
    for error, known in ERRORS.items():
        text = text.replace(f"\n    {error}:", f"\n    {known}:")
    mark = mark_of(obj)
    if isinstance(mark, Hook):
        is_variant = mark.aname != mark.name
        if is_variant and "Async variant of" not in text:
            text += f"\n\nAsync variant of `{mark.name}()`."
        if "Runs on:" not in text:
            owner = name.rpartition(".")[0]
            place = side(import_string(owner), mark)
            text += f"\n\nRuns on:\n    {RUNS_ON[place]}"
    lines[:] = [*text.strip().splitlines(), ""]


def side(cls: type, hook: Hook) -> str:
    """The key of `RUNS_ON` for a method of a class."""
    if hook.calls is None:
        return "as the handler"
    checks = plan_of(cls).choice(hook)._checks
    if checks is None:
        return "worker thread"
    return "either" if checks else "event loop"


def hide_underscores(app: Sphinx, doctree: nodes.document) -> None:
    """Show a type variable `_T` as T, also in an overload."""
    for signature in doctree.findall(addnodes.desc_signature):
        for text in list(signature.findall(nodes.Text)):
            if re.fullmatch(r"_[A-Z]\w*", text):
                text.parent.replace(text, nodes.Text(text[1:]))


class PublicNames(SphinxDirective):
    """The directive `public-names`: all that the reference shows."""

    def run(self) -> list[nodes.Node]:
        """Read the names from the pages."""
        names = set()
        for path in sorted(
            Path(self.env.srcdir, "reference").rglob("*.md")
        ):
            self.env.note_dependency(path)
            text = path.read_text(encoding="utf-8")
            names |= set(
                re.findall(r"auto(?:class|function):: ([\w.]+)", text)
            )
        short = sorted(
            names, key=lambda name: (name.rpartition(".")[2], name)
        )
        return self.parse_text_to_nodes(
            "\n".join(f"* :py:obj:`~{name}`" for name in short)
        )


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
    app.connect("autodoc-process-signature", show_types)
    # Before napoleon, which reads the sections.
    app.connect(
        "autodoc-process-docstring", tell_where_it_runs, priority=400
    )
    app.connect("doctree-read", hide_underscores)
    app.connect("missing-reference", leave_without_link, priority=900)
    app.add_directive("public-names", PublicNames)
