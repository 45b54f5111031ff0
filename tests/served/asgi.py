"""The application that the servers run."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.served.settings")

application = get_asgi_application()
