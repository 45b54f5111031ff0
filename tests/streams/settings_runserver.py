"""Settings for `runserver`, which Daphne's app has serve ASGI."""

import os
import sys
from pathlib import Path

from tests.streams.settings import *  # noqa: F403

INSTALLED_APPS = ["daphne", "django_async_cbv"]
ASGI_APPLICATION = "tests.streams.asgi.application"
# A file of the test's own, so that no other server sees that it changes.
sys.path.append(str(Path(os.environ["REPORT"]).parent))
ROOT_URLCONF = "changing_urls"
