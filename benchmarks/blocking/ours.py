"""What the servers serve: the entry point of this package."""

import os

from django_async_cbv.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.blocking.settings")

application = get_asgi_application()
