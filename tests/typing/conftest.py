"""Where there are no type checkers, what they say can't be tested."""

from importlib.util import find_spec

import pytest

collect_ignore = (
    []
    if find_spec("mypy") and find_spec("pyright") and find_spec("mypy_django_plugin")
    else ["test_checkers.py", "test_example_site.py", "test_stubs.py"]
)


@pytest.fixture(scope="session")
def mypy_cache(tmp_path_factory):
    """Where mypy keeps what it knows of Django: from one run to the next, no longer."""
    return tmp_path_factory.mktemp("mypy")
