"""Forms that a project would write."""

from django import forms

from tests.app.models import Author, Book, Tag


class BookForm(forms.ModelForm):
    """All fields; refuses, across two fields, a title that is also the ISBN."""

    class Meta:
        model = Book
        fields = ["title", "isbn", "author", "tags", "published", "updated", "scan"]

    def clean_title(self):
        title = self.cleaned_data["title"]
        return title.strip().capitalize()

    def clean(self):
        cleaned = super().clean()
        if cleaned.get("title") == cleaned.get("isbn"):
            raise forms.ValidationError("A title is no ISBN.", code="same")
        return cleaned


class LoanForm(forms.Form):
    """Not of a model; its choices are rows."""

    reader = forms.CharField(max_length=100)
    author = forms.ModelChoiceField(Author.objects.all())
    tags = forms.ModelMultipleChoiceField(Tag.objects.all(), required=False)


class ConfirmForm(forms.Form):
    """Asked before a deletion."""

    sure = forms.BooleanField()
