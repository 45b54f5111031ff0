"""The examples of the documentation are tests: each page runs from top to bottom.

Every ```python block of README.md, CONTRIBUTING.md and the pages in docs/ is executed,
with a database whose changes are rolled back after each block. `tests/pages.py` says
which names a block sees. What a reader need not see stands in a comment, which is
executed as well:

    <!--- invisible-code-block: python
    from tests.library import make_books
    -->

and `<!--- skip: next "reason" -->` leaves out the block that follows. A ```text block
is what the block before it left in `said`: the messages that a page shows are real.
"""

import re
from importlib.metadata import entry_points

from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser, SkipParser

from tests import pages

# Where the package is installed, pytest has loaded its plugin.
pytest_plugins = (
    []
    if "django_async_cbv" in {one.name for one in entry_points(group="pytest11")}
    else ["django_async_cbv.pytest_plugin"]
)


def is_said(example: Example) -> None:
    """Compare a ```text block with `said`, but for line breaks and file names."""
    assert normal(example.parsed) == normal(example.namespace.pop("said"))


def normal(text: str) -> str:
    """Leave out of a message how it is wrapped, and where the code stands."""
    return " ".join(re.sub(r"[\w./-]+\.(?:md|py):\d+", "FILE:LINE", text).split())


pytest_collect_file = Sybil(
    parsers=[
        CodeBlockParser(language="python", evaluator=pages.evaluate),
        CodeBlockParser(language="text", evaluator=is_said),
        SkipParser(),
    ],
    patterns=[
        "README.md",
        "CONTRIBUTING.md",
        "docs/*.md",
        "docs/*/*.md",
        "docs/*/*/*.md",
    ],
    # tests/test_tutorial.py follows these pages.
    excludes=["docs/tutorial/*.md"],
    # What a class takes as its module; else it would be `builtins`.
    setup=lambda namespace: namespace.update(__name__="library.views"),
    teardown=pages.forget,
    fixtures=["db"],
).pytest()
