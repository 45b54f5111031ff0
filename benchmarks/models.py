"""What the pages show and take: books, their authors, and reviews."""

from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=100)
    born = models.DateField()

    def __str__(self) -> str:
        return self.name


class Book(models.Model):
    title = models.CharField(max_length=100)
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    published = models.DateField(db_index=True)
    pages = models.PositiveIntegerField()
    price = models.DecimalField(max_digits=6, decimal_places=2)
    summary = models.TextField()

    def __str__(self) -> str:
        return self.title


class Review(models.Model):
    book = models.ForeignKey(Book, models.CASCADE, related_name="reviews")
    name = models.CharField(max_length=100)
    text = models.TextField()

    def __str__(self) -> str:
        return self.name
