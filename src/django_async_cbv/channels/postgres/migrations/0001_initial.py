"""The table, and the trigger that numbers its rows in the order of their commits."""

import uuid
from typing import Any

import django.db.models.functions.datetime
from django.db import migrations, models

# Numbers that are given by an insert are not in the order of the commits: a reader
# that remembers the greatest of them loses what commits later under a lesser one. This
# trigger runs at the commit. The lock, which lasts until the commit is done, lets one
# transaction of a channel after the other take a number. NOTIFY has such a lock too.
FORWARDS = """
CREATE SEQUENCE async_cbv_channels_position AS bigint;

CREATE FUNCTION async_cbv_channels_number() RETURNS trigger AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('async_cbv_channels'), hashtext(NEW.channel));
    UPDATE async_cbv_channels_channelmessage
        SET position = nextval('async_cbv_channels_position')
        WHERE id = NEW.id;
    PERFORM pg_notify('async_cbv:' || md5(NEW.channel), NEW.id::text);
    RETURN NULL;
END
$$ LANGUAGE plpgsql;

CREATE CONSTRAINT TRIGGER async_cbv_channels_number
    AFTER INSERT ON async_cbv_channels_channelmessage
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION async_cbv_channels_number();
"""
BACKWARDS = """
DROP TRIGGER async_cbv_channels_number ON async_cbv_channels_channelmessage;
DROP FUNCTION async_cbv_channels_number();
DROP SEQUENCE async_cbv_channels_position;
"""


class OnPostgres(migrations.RunSQL):
    """Do nothing in other databases, where the table stays empty."""

    def database_forwards(self, *arguments: Any) -> None:
        if arguments[1].connection.vendor == "postgresql":
            super().database_forwards(*arguments)

    def database_backwards(self, *arguments: Any) -> None:
        if arguments[1].connection.vendor == "postgresql":
            super().database_backwards(*arguments)


class Migration(migrations.Migration):
    """The first."""

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="ChannelMessage",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("channel", models.CharField(max_length=200)),
                ("topic", models.CharField(max_length=200)),
                ("event", models.CharField(blank=True, max_length=200)),
                ("data", models.TextField()),
                (
                    "created",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now()
                    ),
                ),
                ("position", models.BigIntegerField(editable=False, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["channel", "position"], name="async_cbv_position"
                    )
                ],
            },
        ),
        OnPostgres(FORWARDS, BACKWARDS),
    ]
