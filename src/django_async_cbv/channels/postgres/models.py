"""The messages that subscribers of PostgreSQL channels can resume from."""

import uuid

from django.db import models
from django.db.models.functions import Now

__all__ = ["ChannelMessage"]


class ChannelMessage(models.Model):
    """One message, from its transaction until it is trimmed."""

    # Random: no other message has it, though the database be restored.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.CharField(max_length=200)
    topic = models.CharField(max_length=200)
    event = models.CharField(max_length=200, blank=True)
    # JSON in ASCII: as text, since the type of PostgreSQL refuses some of it.
    data = models.TextField()
    created = models.DateTimeField(db_default=Now())
    # Where it is among all messages, in the order of the commits: a trigger gives it.
    position = models.BigIntegerField(null=True, editable=False)

    class Meta:
        """By which the log is read."""

        indexes = [
            models.Index(fields=["channel", "position"], name="async_cbv_position"),
        ]

    def __str__(self) -> str:
        return f"{self.channel}/{self.topic} {self.id}"
