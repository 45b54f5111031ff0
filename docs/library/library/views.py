from django.views.generic import DetailView, ListView

from library.models import Author, Book


class BookList(ListView):
    model = Book
    paginate_by = 20

    def get_queryset(self):
        return super().get_queryset().select_related("author")


class BookDetail(DetailView):
    model = Book


class AuthorDetail(DetailView):
    model = Author
