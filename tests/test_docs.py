"""The docs name every twin, every message and every public class, and nothing else."""

import ast
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
from django.core.management import call_command
from sybil import Sybil
from sybil.parsers.myst import CodeBlockParser

import django_async_cbv
from django_async_cbv import views
from tests import pages, twin_table
from tests.test_public import PUBLIC

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SOURCES = sorted(Path(django_async_cbv.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("family", twin_table.FAMILIES)
def test_each_page_lists_its_twins(family):
    """Written anew with TWIN_TABLES=write in the environment."""
    path = DOCS / "reference" / "hooks" / f"{family}.md"
    table = twin_table.as_markdown(family)
    if os.environ.get("TWIN_TABLES") == "write":
        path.write_text(table, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == table
    page = (DOCS / "reference" / "views" / f"{family}.md").read_text()
    assert f"{{include}} ../hooks/{family}.md" in page


def test_the_tables_have_every_class():
    listed = [
        cls.__name__
        for family in twin_table.FAMILIES
        for cls in twin_table.classes(family)
    ]
    assert sorted(listed) == sorted(views.__all__)


# What the reference shows of the package, in each page below docs/reference.
SHOWN = re.findall(
    r"^\.\. (?:auto(?:class|function)|py:data):: ([\w.]+)$",
    "".join(path.read_text() for path in (DOCS / "reference").rglob("*.md")),
    re.MULTILINE,
)


@pytest.mark.parametrize("name", PUBLIC)
def test_the_reference_shows_what_a_module_exports(name):
    # The driver of a channel may be missing.
    module = pytest.importorskip(f"django_async_cbv.{name}", exc_type=ImportError)
    shown = [one.rpartition(".") for one in SHOWN]
    names = [one for of, _, one in shown if of == module.__name__]
    assert sorted(names) == sorted(module.__all__)


def test_the_reference_shows_public_modules_alone():
    modules = {name.rpartition(".")[0] for name in SHOWN}
    assert modules == {f"django_async_cbv.{name}" for name in PUBLIC}


def test_no_page_of_the_reference_shows_whole_modules():
    """A name that one forgets would come with them."""
    for path in (DOCS / "reference").rglob("*.md"):
        assert "automodule::" not in path.read_text()


def texts_raised(path):
    """The text of each error that a module raises, in the parts that are constant."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise):
            for part in ast.walk(node):
                text = part.value if isinstance(part, ast.Constant) else None
                if isinstance(text, str) and " " in text.strip():
                    yield text.strip()


def test_every_error_is_shown():
    """What the modules below the views raise; the views' own errors are Django's."""
    shown = " ".join((DOCS / "reference" / "checks.md").read_text().split())
    texts = {
        text
        for path in SOURCES
        if path.parent.name != "views"
        for text in texts_raised(path)
    }
    assert texts
    assert {text for text in texts if text not in shown} == set()


def test_every_message_has_its_section():
    source = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    text = (DOCS / "reference" / "checks.md").read_text()
    ids = set(re.findall(r'"async_cbv\.([EW]\d+)"', source))
    assert ids
    assert set(re.findall(r"^\(async_cbv\.([EW]\d+)\)=$", text, re.MULTILINE)) == ids
    # The message itself, which the page's own test compares with the real one.
    assert set(re.findall(r"async_cbv\.([EW]\d+)[]\)]", text)) >= ids


def redirects():
    """The old addresses of `docs/conf.py`, each with the new one."""
    for node in ast.parse((DOCS / "conf.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "redirects":
            return ast.literal_eval(node.value)
    raise AssertionError("no redirects")


def test_old_addresses_lead_to_pages():
    assert redirects()
    for old, new in redirects().items():
        assert not (DOCS / f"{old}.md").exists(), old
        page = (DOCS / old).parent / new
        assert page.with_suffix(".md").exists(), new


def slugs(path):
    """The anchors of a page's headings, as GitHub and MyST make them."""
    for heading in re.findall(
        r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE
    ):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md"]
)
def test_links_outside_of_the_site(page):
    """Sphinx checks the links of its own pages."""
    path = ROOT / page
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([\w-]+))?\)", path.read_text())
    for target, anchor in links:
        found = path.parent / target if target else path
        assert found.exists(), target
        if anchor:
            assert anchor in slugs(found), (target, anchor)


def links_of_the_readme(text, urls):
    """Links that the page of the package would not lead anywhere with."""
    if not urls:
        return []
    known = ("http:", "https:", "#", "mailto:")
    return [
        one for one in re.findall(r"\]\(([^)\s]+)\)", text) if not one.startswith(known)
    ]


def test_the_readme_links_to_the_address_of_the_project():
    """Once `[project.urls]` has one. Until then, relative links work in a clone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert links_of_the_readme(text, project.get("urls")) == []
    # With an address, each of today's would be found.
    relative = links_of_the_readme("[a](docs/a.md) [b](https://b/) [c](#c)", {"x": "y"})
    assert relative == ["docs/a.md"]


PAGES = [
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    if not {"_build", "tutorial"}.intersection(path.relative_to(ROOT).parts)
]


@pytest.mark.parametrize("path", PAGES, ids=pages.name_of)
def test_each_visible_block_runs_as_pasted(path):
    """With pyflakes, and by running it: see tests/pages.py."""
    assert pages.faults(path) == []


@pytest.mark.django_db
def test_the_project_of_the_examples_has_its_migrations():
    call_command("makemigrations", "library", check=True, dry_run=True, verbosity=0)


class TestBlocks:
    """A block is checked, and runs, as a file of its own."""

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("# library/views.py\nprint(Book)", "undefined name 'Book'"),
            ("# library/views.py\nimport json", "'json' imported but unused"),
            ("import json\nprint(json)", "names no file: import json"),
            ("# library/views.py\nprint('" + 70 * "x" + "')", "wider than 72"),
        ],
    )
    def test_a_fault_is_found(self, tmp_path, text, fault):
        page = tmp_path / "page.md"
        hidden = "<!--- invisible-code-block: python\nBook = json = None\n-->"
        page.write_text(f"{hidden}\n\n```python\n{text}\n```\n")
        [found] = pages.faults(page)
        assert fault in found

    def test_a_block_continues_a_file(self, tmp_path):
        page = tmp_path / "page.md"
        page.write_text(
            "```python\n# library/views.py\nimport json\n\nprint(json)\n```\n"
            "```python\n# library/views.py, continued\nprint(json)\n```\n"
        )
        assert pages.faults(page) == []

    def run(self, tmp_path, text):
        page = tmp_path / "page.md"
        page.write_text(text)
        parser = CodeBlockParser(language="python", evaluator=pages.evaluate)
        document = Sybil(parsers=[parser], pattern="*.md").parse(page)
        try:
            for example in document.examples():
                example.evaluate()
        finally:
            pages.forget(document.namespace)
        return document.namespace

    def test_a_hidden_block_defines_nothing_for_a_visible_one(self, tmp_path):
        hidden = "<!--- invisible-code-block: python\nx = 1\n-->\n"
        with pytest.raises(NameError):
            self.run(
                tmp_path, f"{hidden}\n```python\n# library/views.py\nprint(x)\n```\n"
            )

    def test_a_hidden_block_in_a_list_names_no_file(self, tmp_path):
        found = self.run(
            tmp_path,
            "- As here:\n\n  <!--- invisible-code-block: python\n  x = 1\n  -->\n",
        )
        assert found["x"] == 1

    def test_a_block_imports_from_another_file(self, tmp_path):
        before = sys.modules.get("library.views")
        found = self.run(
            tmp_path,
            "```python\n# library/views.py\nx = 1\n```\n"
            "```python\n# library/views.py, continued\ny = x + 1\n```\n"
            "```python\n# library/more.py\nfrom library.views import y\n\nz = y\n```\n"
            "<!--- invisible-code-block: python\nassert (x, y, z) == (1, 2, 2)\n-->\n",
        )
        assert found["z"] == 2
        assert sys.modules.get("library.views") is before
        assert "library.more" not in sys.modules
