"""The ASGI application that every server runs: `redletter.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "redletter.settings")

application = get_asgi_application()
