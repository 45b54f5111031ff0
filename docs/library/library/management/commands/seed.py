import datetime

from django.core.management.base import BaseCommand

from library.models import Author, Book

BOOKS = [
    ("Emma", "9780141439587", "Jane Austen", 1815),
    ("Persuasion", "9780141439686", "Jane Austen", 1817),
    ("Bleak House", "9780141439723", "Charles Dickens", 1853),
]


class Command(BaseCommand):
    help = "Create some books."

    def handle(self, **options):
        for title, isbn, name, year in BOOKS:
            author, _ = Author.objects.get_or_create(
                slug=name.lower().replace(" ", "-"),
                defaults={"name": name},
            )
            Book.objects.get_or_create(
                isbn=isbn,
                defaults={
                    "title": title,
                    "author": author,
                    "published": datetime.date(year, 12, 20),
                },
            )
        self.stdout.write(f"There are {Book.objects.count()} books.")
