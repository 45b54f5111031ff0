# ruff: noqa: INP001 - found by its folder, not in a package: the site has its own.
"""The site's own settings, but with passwords that are hashed in no time.

A visitor signs up in each other test, and the default hash takes a second of that.
"""

from redletter.settings import *  # noqa: F403

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    # Of accounts that were seeded without these settings.
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
