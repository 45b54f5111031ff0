"""The forms of the shop."""

from typing import TYPE_CHECKING

from django import forms

from tests.typing.bookshop.models import Book

# As Django's stubs have it done where they are not patched in at run time.
if TYPE_CHECKING:
    BookModelForm = forms.ModelForm[Book]
else:
    BookModelForm = forms.ModelForm


class BookForm(BookModelForm):
    class Meta:
        model = Book
        fields = ["title", "author", "published"]


class ContactForm(forms.Form):
    message = forms.CharField()


class ConfirmForm(forms.Form):
    really = forms.BooleanField()
