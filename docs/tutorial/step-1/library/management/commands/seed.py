from django.core.management.base import BaseCommand

from library.models import Author, Book

BOOKS = {
    "Jane Austen": ["Emma", "Persuasion"],
    "Charles Dickens": ["Bleak House"],
}


class Command(BaseCommand):
    help = "Create some books."

    def handle(self, **options):
        for name, titles in BOOKS.items():
            author = Author.objects.create(name=name)
            for title in titles:
                Book.objects.create(title=title, author=author)
        self.stdout.write(f"There are {Book.objects.count()} books.")
