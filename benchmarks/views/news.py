"""A view that sends the messages of a channel to each client."""

from benchmarks.channels import TOPIC, channel
from django_async_cbv.views.streaming import ChannelView


class News(ChannelView):
    channel = channel()
    topics = [TOPIC]
