"""Async validation: when it is asked, what it may do, and what the views make of it."""

from __future__ import annotations

import asyncio

from django import forms
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.http import HttpResponse
from django.test import RequestFactory, SimpleTestCase, TestCase

from django_async_cbv.forms import ais_valid
from django_async_cbv.views import (
    AsyncCreateView,
    AsyncDeleteView,
    AsyncFormView,
    AsyncUpdateView,
)
from tests.app.models import Tag
from tests.hops import count_hops


async def pause():
    await asyncio.sleep(0)


class SignUp(forms.Form):
    name = forms.CharField(max_length=10)
    email = forms.CharField()

    def clean_name(self):
        self.order = ["clean_name"]
        return self.cleaned_data["name"].strip()

    def clean(self):
        self.order = [*getattr(self, "order", []), "clean"]

    async def aclean_name(self):
        self.order.append("aclean_name")
        await pause()
        if self.cleaned_data["name"] == "taken":
            raise ValidationError("Taken.", code="taken")
        return self.cleaned_data["name"].title()

    async def aclean_email(self):
        self.order.append("aclean_email")
        await pause()
        email = self.cleaned_data["email"]
        if email == "spam":
            self.add_error("email", "No spam.")
        return email

    async def aclean(self):
        self.order.append("aclean")
        await pause()
        if self.cleaned_data.get("email") == self.cleaned_data.get("name"):
            raise ValidationError("Both the same.")
        return {**self.cleaned_data, "more": 1}


class TestForm(SimpleTestCase):
    async def test_after_djangos_own_in_the_order_of_the_fields(self):
        form = SignUp({"name": " ada ", "email": "a@b"})
        with count_hops() as hops:
            self.assertIs(await ais_valid(form), True)
        self.assertEqual(
            form.order, ["clean_name", "clean", "aclean_name", "aclean_email", "aclean"]
        )
        self.assertEqual(form.cleaned_data, {"name": "Ada", "email": "a@b", "more": 1})
        self.assertLessEqual(hops.count, 2)

    async def test_errors(self):
        for data, errors in (
            ({"name": "taken", "email": "a@b"}, {"name": ["Taken."]}),
            ({"name": "ada", "email": "spam"}, {"email": ["No spam."]}),
            ({"name": "ada", "email": "Ada"}, {"__all__": ["Both the same."]}),
        ):
            form = SignUp(data)
            self.assertIs(await ais_valid(form), False)
            self.assertEqual(form.errors, errors)
            self.assertIs(form.is_valid(), False)

    async def test_a_field_with_an_error_is_not_asked(self):
        form = SignUp({"name": "much too long", "email": "a@b"})
        self.assertIs(await ais_valid(form), False)
        self.assertEqual(form.order, ["clean", "aclean_email", "aclean"])

    async def test_an_unbound_form_is_not_valid(self):
        form = SignUp()
        self.assertIs(await ais_valid(form), False)
        self.assertFalse(hasattr(form, "order"))

    async def test_one_that_may_be_empty_and_is(self):
        form = SignUp({}, empty_permitted=True, use_required_attribute=False)
        self.assertIs(await ais_valid(form), True)

    async def test_without_async_validation_it_is_one_hop(self):
        class Plain(forms.Form):
            name = forms.CharField()

        with count_hops() as hops:
            self.assertIs(await ais_valid(Plain({"name": "ada"})), True)
        self.assertEqual(hops.count, 1)

    async def test_a_sync_one_is_refused(self):
        class Sync(forms.Form):
            name = forms.CharField()

            def aclean_name(self):
                return "ada"

        with self.assertRaisesMessage(
            ImproperlyConfigured, "Sync.aclean_name() is not async"
        ):
            await ais_valid(Sync({"name": "a"}))

    async def test_an_async_one_under_djangos_name_is_refused(self):
        class AsyncField(forms.Form):
            name = forms.CharField()

            async def clean_name(self):
                return "ada"

        class AsyncClean(forms.Form):
            async def clean(self):
                pass

        for cls, name in ((AsyncField, "clean_name"), (AsyncClean, "clean")):
            with self.assertRaisesMessage(
                ImproperlyConfigured, f"{cls.__name__}.{name}() is async"
            ):
                await ais_valid(cls({"name": "a"}))
            formset = forms.formset_factory(cls)(
                {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "0", "form-0-name": "a"}
            )
            with self.assertRaisesMessage(ImproperlyConfigured, f"rename it a{name}()"):
                await ais_valid(formset)

    async def test_asked_again_it_has_its_answer(self):
        form = SignUp({"name": "taken", "email": "a@b"})
        self.assertIs(await ais_valid(form), False)
        order = [*form.order]
        self.assertIs(await ais_valid(form), False)
        self.assertEqual((form.errors, form.order), ({"name": ["Taken."]}, order))
        form.full_clean()
        self.assertIs(form.is_valid(), True)
        self.assertIs(await ais_valid(form), False)


class TagForm(forms.ModelForm):
    class Meta:
        model = Tag
        fields = ["name"]

    async def aclean_name(self):
        await pause()
        name = self.cleaned_data["name"]
        if await Tag.objects.filter(name__iexact=name).aexists():
            raise ValidationError("There is one.")
        return {"Upper": "upper", "Dup": "dup"}.get(name, name)


class TestModelForm(TestCase):
    async def test_what_it_returns_is_what_is_saved(self):
        form = TagForm({"name": "Upper"})
        self.assertIs(await ais_valid(form), True)
        self.assertEqual(form.instance.name, "upper")

    async def test_what_it_returns_is_validated_again(self):
        class Renaming(TagForm):
            async def aclean_name(self):
                return "law"

        await Tag.objects.acreate(name="law")
        form = Renaming({"name": "other"})
        self.assertIs(await ais_valid(form), False)
        self.assertEqual(form.errors, {"name": ["Tag with this Name already exists."]})


class TestFormSet(TestCase):
    def data(self, *names, **more):
        data = {"form-TOTAL_FORMS": str(len(names)), "form-INITIAL_FORMS": "0"}
        for number, name in enumerate(names):
            data[f"form-{number}-name"] = name
        return data | more

    async def test_each_form_and_then_the_set(self):
        class Together(forms.BaseFormSet):
            async def aclean(self):
                await pause()
                names = [form.cleaned_data.get("name") for form in self.forms]
                if len({*names}) < len(names):
                    raise ValidationError("Twice.")

        made = forms.formset_factory(TagForm, formset=Together, can_delete=True)
        await Tag.objects.acreate(name="law")
        for names, more, errors, together in (
            (["a", "b"], {}, [{}, {}], []),
            (["a", "LAW"], {}, [{}, {"name": ["There is one."]}], []),
            (["a", "a"], {}, [{}, {}], ["Twice."]),
            (["a", "LAW"], {"form-1-DELETE": "on"}, [{}], []),
        ):
            formset = made(self.data(*names, **more))
            valid = await ais_valid(formset)
            self.assertEqual(formset.errors, errors)
            self.assertEqual(formset.non_form_errors(), together)
            self.assertIs(valid, not (together or any(errors)))

    async def test_without_async_validation_it_is_one_hop(self):
        class Plain(forms.Form):
            name = forms.CharField()

        formset = forms.formset_factory(Plain)(self.data("a"))
        with count_hops() as hops:
            self.assertIs(await ais_valid(formset), True)
        self.assertEqual(hops.count, 1)


class FormView(AsyncFormView):
    form_class = SignUp
    template_name = "page.html"

    def form_valid(self, form):
        return HttpResponse(str(form.cleaned_data))


class AsyncValid(FormView):
    async def aform_valid(self, form):
        await pause()
        return HttpResponse(str(form.cleaned_data))


class OwnPost(FormView):
    def post(self, request, *args, **kwargs):
        response = super().post(request, *args, **kwargs)
        response["X-Own"] = "yes"
        return response


class TestViews(TestCase):
    """However a view gets to its form's validation, the async one is asked."""

    async def post(self, view, data, **kwargs):
        return await view(RequestFactory().post("/", data), **kwargs)

    async def test_form_views(self):
        for cls in (FormView, AsyncValid, OwnPost):
            with self.subTest(cls=cls):
                good = await self.post(cls.as_view(), {"name": "ada", "email": "a"})
                self.assertIn("'more': 1", good.content.decode())
                bad = await self.post(cls.as_view(), {"name": "taken", "email": "a"})
                form = bad.context_data["form"]
                self.assertEqual(form.errors, {"name": ["Taken."]})

    async def test_create_and_update(self):
        options = {"model": Tag, "form_class": TagForm, "success_url": "/"}
        create = AsyncCreateView.as_view(template_name="page.html", **options)
        self.assertEqual((await self.post(create, {"name": "Upper"})).status_code, 302)
        tag = await Tag.objects.aget(name="upper")
        bad = await self.post(create, {"name": "UPPER"})
        self.assertEqual(bad.context_data["form"].errors, {"name": ["There is one."]})
        update = AsyncUpdateView.as_view(**options)
        await self.post(update, {"name": "Dup"}, pk=tag.pk)
        await tag.arefresh_from_db()
        self.assertEqual(tag.name, "dup")

    async def test_delete(self):
        class Confirm(forms.Form):
            async def aclean(self):
                raise ValidationError("Not now.")

        tag = await Tag.objects.acreate(name="law")
        view = AsyncDeleteView.as_view(
            model=Tag, form_class=Confirm, success_url="/", template_name="page.html"
        )
        response = await self.post(view, {}, pk=tag.pk)
        self.assertEqual(response.status_code, 200)
        self.assertEqual(await Tag.objects.acount(), 1)
