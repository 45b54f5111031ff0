"""What a project writes: middleware, sessions, messages, signers and caches."""

from __future__ import annotations

from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.sessions.backends import db
from django.core.cache.backends.locmem import LocMemCache
from django.core.signing import TimestampSigner


class SessionStore(db.SessionStore):
    pass


class Storage(CookieStorage):
    pass


class Signer(TimestampSigner):
    pass


class Cache(LocMemCache):
    pass
