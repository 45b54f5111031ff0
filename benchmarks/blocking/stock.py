"""What the servers serve: Django's application, for the middleware of the detector."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.blocking.settings")

application = get_asgi_application()
