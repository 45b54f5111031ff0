"""The application that the servers run: on Django's handler, or on this package's."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.streams.settings")

if os.environ.get("ENTRY_POINT"):
    from django_async_cbv.asgi import get_asgi_application

    application = get_asgi_application(workers=int(os.environ.get("WORKERS", "40")))
else:
    from django.core.asgi import get_asgi_application

    application = get_asgi_application()
