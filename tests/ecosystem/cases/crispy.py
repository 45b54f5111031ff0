"""django-crispy-forms: forms that say how they are laid out."""

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Layout, Submit
from django import forms

from tests.ecosystem.models import Author, Book
from tests.ecosystem.trying import Case, Site, tried


class BookForm(forms.ModelForm):
    class Meta:
        model = Book
        fields = ["title", "author"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = FormHelper()
        self.helper.disable_csrf = True
        self.helper.layout = Layout("author", "title", Submit("save", "Save it"))


@tried
class CrispyForm(Case):
    package = "django-crispy-forms"
    what = "`{% crispy form %}` and `{{ form|crispy }}` in the page of a form view"

    def view(self, views: Any) -> Any:
        attributes = {
            "model": Book,
            "form_class": BookForm,
            "template_name": "ecosystem/crispy.html",
            "success_url": "/shelf/",
        }
        return type("Page", (views.UpdateView,), attributes)

    def visits(self, site: Site) -> None:
        client = site.client()
        page = client.get("/emma/").content.decode()
        # In the order of the layout, with the choices, which are a query.
        assert page.index('id="id_author"') < page.index('id="id_title"')
        assert ">Bram<" in page
        assert 'value="Save it"' in page
        invalid = client.post("/emma/", {"title": ""}).content
        assert b"invalid-feedback" in invalid
        bram = Author.objects.get(slug="bram")
        sent = {"title": "Emma II", "author": bram.pk}
        assert client.post("/emma/", sent).url == "/shelf/"
        assert str(Book.objects.get(slug="emma")) == "Emma II by Bram"
