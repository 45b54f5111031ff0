"""The examples of the documentation are tests: each page runs from top to bottom.

Every ```python block of README.md and docs/*.md is executed, the blocks of one page in
one namespace, with a database whose changes are rolled back after each block. What a
reader need not see stands in a comment, which is executed as well:

    <!--- invisible-code-block: python
    from tests.models import Book
    -->

and `<!--- skip: next "reason" -->` leaves out the block that follows.
"""

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md"],
    fixtures=["db"],
).pytest()
