"""The configuration of the app."""

from django.apps import AppConfig

__all__ = ["PostgresChannelConfig"]


class PostgresChannelConfig(AppConfig):
    """One table of messages, for all channels of a database."""

    name = "django_async_cbv.channels.postgres"
    label = "async_cbv_channels"
    verbose_name = "Channels in PostgreSQL"
    default_auto_field = "django.db.models.BigAutoField"
