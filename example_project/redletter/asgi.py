"""The ASGI application that every server runs: `redletter.asgi:application`.

The execution layer of django-async-cbv serves the site. To compare, start the site with
`EXECUTION_LAYER=0`: then Django's own handler does.
"""

import os

from django.core import asgi as django_asgi
from django_async_cbv.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "redletter.settings")

application = (
    django_asgi.get_asgi_application()
    if os.environ.get("EXECUTION_LAYER") == "0"
    else get_asgi_application()
)
