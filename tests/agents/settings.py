"""The site that the agents trace: one process, and one SQLite file, for each agent."""

import os

from tests.settings import *  # noqa: F403

ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.agents.urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("AGENTS_DATABASE", ":memory:"),
        # It need not outlive the process.
        "OPTIONS": {"init_command": "PRAGMA synchronous = OFF"},
    }
}
