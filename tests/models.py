"""The models of the tests of hooks, overrides and hops: fields and no more."""

from django.db import models
from django.urls import reverse


class Author(models.Model):
    name = models.CharField(max_length=50)
    slug = models.SlugField(unique=True)

    class Meta:
        ordering = ["name"]

    def get_absolute_url(self):
        return reverse("author", args=[self.pk])


class Book(models.Model):
    title = models.CharField(max_length=50)
    slug = models.SlugField()
    published = models.DateField()
    author = models.ForeignKey(Author, models.CASCADE, null=True)

    class Meta:
        ordering = ["title"]
