"""Which classes are replaced, by which of ours: read from the sources of both."""

from __future__ import annotations

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = [
    "AUTH_URLS",
    "MODULES",
    "Ours",
    "Target",
    "django_folder",
    "handlers",
    "hooks",
    "loose_names",
    "ours_for",
    "ours_for_extension",
    "theirs_async",
]

# A dotted path, in parts.
Target = tuple[str, ...]
# A class of this package: its module and its name.
Ours = tuple[str, str]

# Django's modules whose classes have variants, each with the module of this package.
MODULES = {
    "django.views.generic": "django_async_cbv.views",
    "django.contrib.auth.mixins": "django_async_cbv.auth.mixins",
    "django.contrib.auth.views": "django_async_cbv.auth.views",
    "django.contrib.messages.views": "django_async_cbv.messages",
}
AUTH_URLS = {"django.contrib.auth.urls": "django_async_cbv.auth.urls"}

# The similar package that the codemod converts from.
EXTENSION = "django_async_extensions"
_EXTENSION_MODULES = {
    f"{EXTENSION}.views.generic": "django.views.generic",
    f"{EXTENSION}.contrib.auth.mixins": "django.contrib.auth.mixins",
}
_EXTENSION_FORMS = {
    (EXTENSION, "forms", "AsyncModelForm"),
    (EXTENSION, "forms", "models", "AsyncModelForm"),
}
# The coroutine functions there, without handlers, whose name stays.
_EXTENSION_ASYNC = """
    form_invalid form_valid get_context_data get_date_list get_dated_items
    get_dated_queryset get_form get_form_class get_next_day get_next_month get_next_week
    get_next_year get_object get_previous_day get_previous_month get_previous_week
    get_previous_year get_queryset handle_no_permission has_permission paginate_queryset
    render_to_response test_func uses_datetime_field
"""


@cache
def django_folder() -> Path:
    """The folder of the Django that is installed; nothing of it is imported."""
    spec = find_spec("django")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@cache
def _exported(module: str) -> frozenset[str]:
    """The names in `__all__` of one of our modules, which is not imported."""
    file = Path(__file__).parents[1].joinpath(*module.split(".")[1:])
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def ours_for(module: str, name: str) -> Ours | None:
    """Our variant of a class of Django's, by the module that defines the class."""
    for prefix, ours in MODULES.items():
        if module == prefix or module.startswith(f"{prefix}."):
            made = f"Async{name}"
            return (ours, made) if made in _exported(ours) else None
    return None


def ours_for_extension(target: Target) -> Ours | None:
    """Our class, or Django's form, for a class of django-async-extensions."""
    if target in _EXTENSION_FORMS:
        return "django.forms", "ModelForm"
    *parents, name = target
    module = ".".join(parents)
    for prefix, django in _EXTENSION_MODULES.items():
        if module == prefix or module.startswith(f"{prefix}."):
            return ours_for(django, name.removeprefix("Async"))
    return None


@cache
def hooks() -> frozenset[str]:
    """The sync names of the hooks that have an async variant here."""
    found = set()
    for file in Path(__file__).parents[1].rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            made_by = {
                part.id
                for decorator in node.decorator_list
                for part in ast.walk(decorator)
                if isinstance(part, ast.Name)
            }
            if "twin" in made_by and node.name.startswith("a"):
                found.add(node.name.removeprefix("a"))
    return frozenset(found)


@cache
def handlers() -> frozenset[str]:
    """The methods of a view that have one name for sync and async."""
    text = (django_folder() / "views" / "generic" / "base.py").read_text("utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign) and (
            ast.unparse(node.targets[0]) == "http_method_names"
        ):
            names = ast.literal_eval(node.value)
            return frozenset({*names, "dispatch", "http_method_not_allowed"})
    return frozenset()


@cache
def theirs_async() -> frozenset[str]:
    """The async hooks of django-async-extensions, under their names there."""
    return frozenset(_EXTENSION_ASYNC.split())


def loose_names() -> frozenset[str]:
    """What its form class has, and Django's has not."""
    return frozenset({"asave", "aerrors", "afull_clean", "from_async", "asave_m2m"})
