"""What each tenant has in a schema of its own."""

from django.db import models


class Note(models.Model):
    """With a plain manager: Django's own code alone reads it."""

    # Of whom it is.
    number = models.IntegerField()

    def __str__(self):
        return str(self.number)
