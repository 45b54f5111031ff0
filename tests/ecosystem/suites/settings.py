"""Settings of the tests that start the suites; each suite has settings of its own."""

from tests.settings import *  # noqa: F403 - nothing is different but the name
