"""Where there are no type checkers, what they say can't be tested."""

from importlib.util import find_spec

collect_ignore = (
    []
    if find_spec("mypy") and find_spec("pyright") and find_spec("mypy_django_plugin")
    else ["test_checkers.py", "test_stubs.py"]
)
