"""Models of every kind that an edit view meets."""

from django.db import models
from django.urls import reverse


class Author(models.Model):
    """Says itself where its page is."""

    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("author-detail", kwargs={"slug": self.slug})


class Tag(models.Model):
    name = models.CharField(max_length=50, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name


class Book(models.Model):
    """Has a unique field, a many-to-many, a foreign key, dates and a file."""

    title = models.CharField(max_length=200)
    isbn = models.CharField(max_length=13, unique=True)
    author = models.ForeignKey(Author, models.PROTECT, related_name="books")
    tags = models.ManyToManyField(Tag, blank=True, related_name="books")
    published = models.DateField()
    updated = models.DateTimeField(null=True, blank=True)
    scan = models.FileField(upload_to="scans", blank=True)

    class Meta:
        ordering = ["title", "pk"]

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return reverse("book-detail", kwargs={"pk": self.pk})


class Novel(Book):
    """Inherited: a row in two tables."""

    genre = models.CharField(max_length=50)


class Loan(models.Model):
    """Protects its book from being deleted."""

    book = models.ForeignKey(Book, models.PROTECT)
    reader = models.CharField(max_length=100)


class ArticleQuerySet(models.QuerySet):
    def published(self):
        return self.filter(published__isnull=False)


class ArticleManager(models.Manager.from_queryset(ArticleQuerySet)):
    """Hides what is a draft, as a project's manager may."""

    def get_queryset(self):
        return super().get_queryset().published()


class Article(models.Model):
    """Has a manager and a queryset class of its own, and no get_absolute_url()."""

    title = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)
    published = models.DateTimeField(null=True, blank=True)

    objects = ArticleManager()

    class Meta:
        ordering = ["title"]

    def __str__(self):
        return self.title


class Entry(models.Model):
    """Has columns of every kind that rows may be sorted by."""

    code = models.CharField(max_length=20, unique=True)
    group = models.IntegerField(db_index=True)
    note = models.CharField(max_length=20, null=True)  # noqa: DJ001 - with nulls
    rank = models.IntegerField(null=True, unique=True)
    weight = models.FloatField(unique=True)
    author = models.ForeignKey(Author, models.CASCADE, null=True)
    tags = models.ManyToManyField(Tag)

    class Meta:
        indexes = [models.Index(fields=["note", "group"], name="entry_by_note")]
        constraints = [
            models.UniqueConstraint(fields=["group", "code"], name="entry_in_group")
        ]
