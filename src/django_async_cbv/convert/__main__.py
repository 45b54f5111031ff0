"""`python -m django_async_cbv.convert PATHS`: needs no settings."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
