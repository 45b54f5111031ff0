"""What a project writes: sessions, messages, signers, caches; each does I/O."""

from __future__ import annotations

from pathlib import Path

from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.sessions.backends import db
from django.core.cache.backends.locmem import LocMemCache
from django.core.signing import TimestampSigner


class ReadsAFile:
    """What may not be made on the event loop."""

    def __init__(self, *args, **kwargs):
        Path(__file__).stat()
        super().__init__(*args, **kwargs)


class SessionStore(ReadsAFile, db.SessionStore):
    pass


class Storage(ReadsAFile, CookieStorage):
    pass


class Signer(ReadsAFile, TimestampSigner):
    pass


class Cache(ReadsAFile, LocMemCache):
    pass
