"""Sphinx's configuration."""

from importlib.metadata import version as installed_version

project = "django-async-cbv"
author = "The django-async-cbv contributors"
copyright = f"2026, {author}"
release = version = installed_version(project)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.intersphinx"]
exclude_patterns = ["_build", "inventories", "hop-table.md"]

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

# From a file in the repository, so that the build needs no network.
intersphinx_mapping = {
    "django": ("https://docs.djangoproject.com/en/6.1/", "inventories/django.inv"),
}

autodoc_typehints = "description"
nitpicky = True

html_theme = "furo"
html_title = f"django-async-cbv {release}"
