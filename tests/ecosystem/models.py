"""A shelf of books, with the rules of django-rules on who may do what with them."""

import rules
from django.db import models
from rules.contrib.models import RulesModel


@rules.predicate
def is_owner(user, book):
    return book is not None and book.owner == user.get_username()


class Author(models.Model):
    name = models.CharField(max_length=50)
    slug = models.SlugField(unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return f"/{self.slug}/"


class Book(RulesModel):
    """Asks for its author when it is shown: a query, where nobody has joined them."""

    title = models.CharField(max_length=50)
    slug = models.SlugField(unique=True)
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    published = models.DateField()
    owner = models.CharField(max_length=50, blank=True)

    class Meta:
        ordering = ["title"]
        rules_permissions = {
            "change": is_owner,
        }

    def __str__(self):
        return f"{self.title} by {self.author.name}"

    def get_absolute_url(self):
        return f"/{self.slug}/"
