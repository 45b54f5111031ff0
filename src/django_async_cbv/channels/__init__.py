"""Fan-out: one message reaches all subscribers of its topic, in every process."""

from .base import Channel, Message, Reset, Subscription
from .fanout import Subscriber
from .local import LocalChannel

__all__ = ["Channel", "LocalChannel", "Message", "Reset", "Subscriber", "Subscription"]
