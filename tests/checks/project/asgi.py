"""The ASGI module of a project: to be read, and never imported."""

from django_async_cbv.asgi import get_asgi_application

raise AssertionError("The check has imported the ASGI module.")

application = get_asgi_application()
