"""The sync half of the streaming views: it declares the hooks that may be either."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.twins import hook

__all__ = ["TopicsMixin"]


class TopicsMixin:
    """Says which messages of a channel a client gets."""

    #: The topics whose messages a client gets.
    topics: Sequence[str] = ()

    @hook(pure=True)
    def get_topics(self) -> Sequence[str]:
        """Return the topics whose messages a client gets. The default is `topics`."""
        return self.topics
