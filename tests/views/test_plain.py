"""Which edit views leave their post() to Django, and which have something to await."""

import functools
from unittest import mock

from django import forms
from django.test import RequestFactory, TestCase

from django_async_cbv.views import AsyncCreateView, AsyncFormView, AsyncUpdateView
from django_async_cbv.views._plain import may_await_for_a_form
from tests.models import Author


class Plain(forms.Form):
    name = forms.CharField()

    def clean_name(self):
        return self.cleaned_data["name"]

    def clean(self):
        return self.cleaned_data


class PlainModel(forms.ModelForm):
    class Meta:
        model = Author
        fields = ("name", "slug")


class Asks:
    name = forms.CharField()

    async def aclean(self):
        pass


class AsksField:
    async def aclean_name(self):
        return ""


class Saves:
    async def asave_all(self):
        pass

    def save(self, commit=True):
        return self.asave_all()


class SavesAsync:
    async def save(self, commit=True):
        pass


class CleansAsync:
    async def clean_name(self):
        pass


class Valid:
    def is_valid(self):
        return True


class Guesses:
    def __getattr__(self, name):
        raise AttributeError(name)


def view_of(base, members=(), **attributes):
    cls = type(
        "Page", (base,), {"success_url": "/", "template_name": "x", **dict(members)}
    )
    view = cls(**attributes)
    view.setup(RequestFactory().post("/"))
    return view


class MayAwaitTests(TestCase):
    def asked(self, base=AsyncFormView, /, **members):
        return may_await_for_a_form(view_of(base, members))

    def test_plain_forms_do_not(self):
        self.assertFalse(self.asked(form_class=Plain))
        for base in (AsyncCreateView, AsyncUpdateView):
            with self.subTest(base=base):
                self.assertFalse(self.asked(base, form_class=PlainModel, model=Author))
                self.assertFalse(self.asked(base, fields=["name"], model=Author))

    def test_forms_that_may(self):
        for mixin in (Asks, AsksField, CleansAsync, Valid, Guesses, Saves, SavesAsync):
            form_class = type("Form", (mixin, PlainModel), {})
            with self.subTest(mixin=mixin):
                self.assertTrue(
                    self.asked(AsyncCreateView, form_class=form_class, model=Author)
                )
        made = view_of(AsyncFormView, form_class=functools.partial(Plain))
        self.assertTrue(may_await_for_a_form(made))

    def test_views_that_say_so_themselves(self):
        def own(view, *args):
            return "/"

        for name in ("get_form", "get_form_class", "form_valid", "get_success_url"):
            with self.subTest(name=name):
                self.assertTrue(self.asked(form_class=Plain, **{name: own}))
                view = view_of(AsyncFormView, {"form_class": Plain})
                setattr(view, name, lambda: "/")
                self.assertTrue(may_await_for_a_form(view))

    def test_a_url_of_the_model(self):
        """Its get_absolute_url() may give a coroutine, of which no URL is made."""
        self.assertTrue(
            self.asked(
                AsyncCreateView, form_class=PlainModel, model=Author, success_url=None
            )
        )

    def test_a_model_of_which_nothing_is_known(self):
        self.assertTrue(self.asked(AsyncCreateView, fields=["name"]))

    def test_what_the_model_does_async(self):
        async def save(self, **kwargs):
            pass

        for members in ({"form_class": PlainModel}, {"fields": ["name"]}):
            with self.subTest(members=members):
                view = view_of(AsyncUpdateView, {"model": Author, **members})
                view.object = Author()
                self.assertFalse(may_await_for_a_form(view))
                view.object.save = save
                self.assertTrue(may_await_for_a_form(view))
                del view.object.save
                with mock.patch.object(Author, "save", save):
                    self.assertTrue(may_await_for_a_form(view))

    def test_what_is_put_on_a_form_later(self):
        form_class = type("Form", (Plain,), {})
        view = view_of(AsyncFormView, {"form_class": form_class})
        self.assertFalse(may_await_for_a_form(view))
        form_class.aclean = Asks.aclean
        self.assertTrue(may_await_for_a_form(view))

    async def test_a_property_is_left_to_the_body(self):
        """It is the project's code, which is not to run on the event loop."""
        where = []

        class Page(AsyncFormView):
            success_url = "/"

            @property
            def form_class(self):
                where.append(self.request.method)
                return Plain

        with mock.patch("django_async_cbv.views._plain.is_sync_form") as asked:
            response = await Page.as_view()(RequestFactory().post("/", {"name": "x"}))
        self.assertEqual(response.status_code, 302)
        self.assertEqual(where, ["POST"])
        asked.assert_not_called()
