"""What Uvicorn and Granian serve: this package's entry point, in place of Django's."""

import json
import os

from django_async_cbv.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

application = get_asgi_application(
    **json.loads(os.environ.get("BENCHMARK_ENTRY_POINT", "{}"))
)
