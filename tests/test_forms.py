"""Async validation: when it is asked, what it may do, and what the views make of it."""

from __future__ import annotations

import asyncio
import datetime

from django import forms
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import models
from django.http import HttpResponse
from django.test import RequestFactory, SimpleTestCase, TestCase
from django.views.generic import FormView

from django_async_cbv.forms import ais_valid
from django_async_cbv.views import (
    AsyncCreateView,
    AsyncDeleteView,
    AsyncFormView,
    AsyncUpdateView,
)
from tests.app.models import Author, Tag
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
            ImproperlyConfigured, "Sync.aclean_name() is sync"
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
            with self.assertRaisesMessage(
                ImproperlyConfigured, f"Rename it: `async def a{name}()`"
            ):
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


class SignUpView(AsyncFormView):
    form_class = SignUp
    template_name = "page.html"

    def form_valid(self, form):
        return HttpResponse(str(form.cleaned_data))


class AsyncValid(SignUpView):
    async def aform_valid(self, form):
        await pause()
        return HttpResponse(str(form.cleaned_data))


class OwnPost(SignUpView):
    def post(self, request, *args, **kwargs):
        response = super().post(request, *args, **kwargs)
        response["X-Own"] = "yes"
        return response


class TestViews(TestCase):
    """However a view gets to its form's validation, the async one is asked."""

    async def post(self, view, data, **kwargs):
        return await view(RequestFactory().post("/", data), **kwargs)

    async def test_form_views(self):
        for cls in (SignUpView, AsyncValid, OwnPost):
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


class Place(models.Model):
    """Unique in every way that Django checks across forms; validated, never saved."""

    # Nothing looks for places when an author is deleted: there is no such table.
    author = models.ForeignKey(Author, models.DO_NOTHING)
    code = models.CharField(max_length=10, unique=True)
    shelf = models.CharField(max_length=10)
    row = models.IntegerField()
    name = models.CharField(max_length=10, unique_for_date="day")
    monthly = models.CharField(max_length=10, unique_for_month="day")
    day = models.DateField()
    label = models.CharField(max_length=10)
    hidden = models.CharField(max_length=10)

    class Meta:
        app_label = "tests"
        managed = False
        unique_together = [("author", "shelf"), ("shelf", "row")]
        constraints = [
            models.UniqueConstraint(fields=["label", "row"], name="one_label"),
            # Django leaves a constraint with a condition to the database.
            models.UniqueConstraint(
                fields=["hidden"], condition=models.Q(row=1), name="one_hidden"
            ),
        ]

    def validate_constraints(self, exclude=None):
        """Ask nothing of the database: Django 5.2 asks it from full_clean()."""


# A list would get the foreign key from Django 5.2.
PLACE_FIELDS = tuple(
    field.name for field in Place._meta.fields if field.name not in ("id", "author")
)


class PlaceForm(forms.ModelForm):
    class Meta:
        model = Place
        fields = PLACE_FIELDS

    def validate_unique(self):
        """Nothing with what is in the database, where there is no such table."""

    def validate_constraints(self):
        pass


def place(number, **changes):
    own = {name: f"{name}{number}" for name in PLACE_FIELDS}
    return own | {"row": number, "day": f"2020-0{number}-01"} | changes


class TestAcrossForms(TestCase):
    """What Django checks across forms holds for what the async validation has made."""

    # The fields to give one value to, which makes the forms duplicates or not.
    CHANGES = (
        {"code": "same"},
        {"shelf": "same"},
        {"shelf": "same", "row": 7},
        {"name": "same"},
        {"name": "same", "day": datetime.date(2020, 1, 1)},
        {"monthly": "same", "day": datetime.date(2020, 1, 1)},
        {"label": "same", "row": 7},
        {"hidden": "same", "row": 1},
        {"code": "same", "name": "same", "day": datetime.date(2020, 1, 1)},
    )

    def form(self, changes, is_async):
        """A form that changes its values by clean_<field>() or aclean_<field>()."""
        namespace = {}
        for name, value in changes.items():

            def clean(self, value=value):
                return value

            async def aclean(self, value=value):
                await pause()
                return value

            namespace |= (
                {f"aclean_{name}": aclean} if is_async else {f"clean_{name}": clean}
            )
        return type("Changing", (PlaceForm,), namespace)

    def formset(self, changes, is_async, base, numbers=(1, 2, 3), **more):
        form = self.form(changes, is_async)
        options = {"form": form, "formset": base, "can_delete": True}
        if issubclass(base, forms.BaseInlineFormSet):
            made = forms.inlineformset_factory(Author, Place, **options)
            instance, prefix = {"instance": Author(pk=1)}, "place_set"
        else:
            made = forms.modelformset_factory(Place, **options)
            instance, prefix = {"queryset": Place.objects.none()}, "form"
        data = {f"{prefix}-TOTAL_FORMS": len(numbers), f"{prefix}-INITIAL_FORMS": 0}
        for at, number in enumerate(numbers):
            values = place(number).items()
            data |= {f"{prefix}-{at}-{name}": value for name, value in values}
        data |= {f"{prefix}-{name}": value for name, value in more.items()}
        return made(data, **instance)

    async def outcome(self, formset, is_async):
        valid = await ais_valid(formset) if is_async else formset.is_valid()
        return (
            valid,
            formset.is_valid(),
            formset.errors,
            sorted(formset.non_form_errors()),
            # One that is to be deleted is not asked.
            [
                form.cleaned_data
                for form in formset.forms
                if not formset._should_delete_form(form)
            ],
        )

    async def test_as_after_sync_cleaning(self):
        found = set()
        for base in (forms.BaseModelFormSet, forms.BaseInlineFormSet):
            for changes in self.CHANGES:
                for more in ({}, {"1-DELETE": "on"}):
                    with self.subTest(base=base, changes=changes, more=more):
                        sync, asynchronous = [
                            await self.outcome(
                                self.formset(changes, is_async, base, **more), is_async
                            )
                            for is_async in (False, True)
                        ]
                        self.assertEqual(asynchronous, sync)
                        found.add(sync[0])
        self.assertEqual(found, {True, False})

    async def test_a_clean_of_its_own_is_called_once(self):
        calls = []

        class Checked:
            def clean(self):
                calls.append("clean")
                super().clean()

        class Unchecked:
            def clean(self):
                calls.append("clean")

        class Asks(Checked):
            async def aclean(self):
                calls.append("aclean")

        for mixin, valid in ((Checked, False), (Unchecked, True), (Asks, False)):
            for base in (forms.BaseModelFormSet, forms.BaseInlineFormSet):
                calls.clear()
                cls = type("Own", (mixin, base), {})
                formset = self.formset({"code": "same"}, True, cls)
                self.assertIs(await ais_valid(formset), valid)
                self.assertIs(formset.is_valid(), valid)
                self.assertEqual(calls.count("clean"), 1)
                if mixin is Asks:
                    self.assertEqual(calls, ["clean", "aclean"])
                self.assertNotIn("validate_unique", vars(formset))

    async def test_of_a_formset_that_was_validated_before(self):
        formset = self.formset({"code": "same"}, True, forms.BaseModelFormSet)
        self.assertIs(formset.is_valid(), True)
        self.assertIs(await ais_valid(formset), False)

    async def test_the_number_of_forms_is_checked_once(self):
        base = type("Few", (forms.BaseModelFormSet,), {})
        formset = self.formset({"code": "same"}, True, base)
        formset.validate_max, formset.max_num = True, 2
        self.assertIs(await ais_valid(formset), False)
        self.assertEqual(len(formset.non_form_errors()), 1)

    async def test_unchanged_values_are_not_checked_again(self):
        calls = []

        class Counting(forms.BaseModelFormSet):
            def validate_unique(self):
                calls.append("validate_unique")
                super().validate_unique()

        for changes, count in (({}, 1), ({"code": "same"}, 2)):
            calls.clear()
            formset = self.formset(changes, True, Counting)
            self.assertIs(await ais_valid(formset), not changes)
            self.assertEqual(len(calls), count)


class One(forms.Form):
    a = forms.CharField()


class Asking(forms.Form):
    b = forms.CharField()

    async def aclean_b(self):
        await pause()
        if self.cleaned_data["b"] == "bad":
            raise ValidationError("Bad.")
        return self.cleaned_data["b"].upper()


class Container:
    """What several packages have: what a view asks of a form, and no more."""

    def __init__(self, data=None, files=None, **kwargs):
        self._inner = [One(data), Asking(data)]

    def is_valid(self):
        # Each of them: all errors are to be shown.
        return min(form.is_valid() for form in self._inner)

    @property
    def errors(self):
        return [form.errors for form in self._inner]


class Slotted:
    """Not even with attributes."""

    __slots__ = ("data",)

    def __init__(self, data=None, files=None, **kwargs):
        self.data = data

    def is_valid(self):
        return "a" in self.data and "b" in self.data

    @property
    def errors(self):
        return {} if self.is_valid() else {"__all__": ["Missing."]}


class Showing(Container):
    """Shows its forms, as django-betterforms does."""

    @property
    def forms(self):
        return dict(zip(("one", "asking"), self._inner, strict=True))


class ShowingList(Container):
    @property
    def forms(self):
        return self._inner


class WithAclean(Container):
    async def aclean(self):
        for form in self._inner:
            await ais_valid(form)


class Adding(Container):
    def add_error(self, field, error):
        self._inner[0].add_error(field, error)

    async def aclean(self):
        await pause()
        if self._inner[1].cleaned_data.get("b") == "bad":
            raise ValidationError("Bad.")


class AsyncIsValid(Container):
    async def is_valid(self):
        await pause()
        return all([await ais_valid(form) for form in self._inner])


class Awaited(Container):
    def is_valid(self):
        async def ask():
            return all([await ais_valid(form) for form in self._inner])

        return ask()


class TestFormLike(TestCase):
    """Anything with is_valid() is taken for a form, and asked for nothing else."""

    GOOD = {"a": "1", "b": "2"}

    async def statuses(self, view, **kwargs):
        found = []
        for data in (self.GOOD, {"a": "1"}, {"a": "1", "b": "bad"}):
            request = RequestFactory().post("/", data)
            found.append((await view(request, **kwargs)).status_code)
        return found

    async def test_views(self):
        tag = await Tag.objects.acreate(name="law")
        options = {"template_name": "page.html", "success_url": "/"}
        for cls in (
            Container,
            Slotted,
            Showing,
            ShowingList,
            WithAclean,
            Adding,
            AsyncIsValid,
            Awaited,
        ):
            is_asked = cls not in (Container, Slotted)
            expected = [302, 200, 200 if is_asked else 302]
            with self.subTest(cls=cls):
                view = AsyncFormView.as_view(form_class=cls, **options)
                self.assertEqual(await self.statuses(view), expected)
                get = await view(RequestFactory().get("/"))
                self.assertEqual(get.status_code, 200)

                class Deleting(AsyncDeleteView):
                    model = Tag
                    form_class = cls

                    def form_valid(self, form):
                        return HttpResponse(status=302)

                view = Deleting.as_view(**options)
                self.assertEqual(await self.statuses(view, pk=tag.pk), expected)

    async def test_django_is_the_measure(self):
        for cls in (Container, Slotted, Showing, ShowingList):
            options = {"form_class": cls, "success_url": "/", "template_name": "a.html"}
            for data in (self.GOOD, {"a": "1"}):
                request = RequestFactory().post("/", data)
                expected = FormView.as_view(**options)(request).status_code
                response = await AsyncFormView.as_view(**options)(request)
                self.assertEqual(response.status_code, expected)

    async def test_a_saving_one(self):
        class Saving(Container):
            def __init__(self, instance=None, **kwargs):
                super().__init__(**kwargs)

            def save(self):
                return Tag.objects.create(name=self._inner[1].cleaned_data["b"])

        class AsyncSaving(Saving):
            async def save(self):
                return await Tag.objects.acreate(name="async")

        for cls, name in ((Saving, "2"), (AsyncSaving, "async")):
            view = AsyncCreateView.as_view(model=Tag, form_class=cls, success_url="/")
            response = await view(RequestFactory().post("/", self.GOOD))
            self.assertEqual(response.status_code, 302)
            self.assertTrue(await Tag.objects.filter(name=name).aexists())

    async def test_forms_are_found_wherever_a_container_shows_them(self):
        class Shown(Showing):
            def __init__(self, data, show):
                self._inner = [Asking(data)]
                self.show = show

            @property
            def forms(self):
                return self.show(self._inner)

        for show in (
            list,
            tuple,
            frozenset,
            lambda inner: dict(enumerate(inner)),
            lambda inner: dict(enumerate(inner)).values(),
            lambda inner: [Shown(inner[0].data, list)],
        ):
            self.assertIs(await ais_valid(Shown({"b": "bad"}, show)), False)

    async def test_an_error_that_has_no_place_is_raised(self):
        class Placeless(Container):
            async def aclean(self):
                raise ValidationError("Where to?")

        with self.assertRaisesMessage(ValidationError, "Where to?"):
            await ais_valid(Placeless(self.GOOD))

    async def test_a_sync_aclean_is_refused(self):
        class Sync(Container):
            def aclean(self):
                pass

        with self.assertRaisesMessage(ImproperlyConfigured, "Sync.aclean() is sync"):
            await ais_valid(Sync(self.GOOD))

    async def test_async_validation_under_a_sync_name_is_refused(self):
        class Refused(forms.Form):
            async def clean(self):
                pass

        class Holding(Showing):
            def __init__(self, data=None):
                self._inner = [Refused(data), Asking(data)]

        with self.assertRaisesMessage(ImproperlyConfigured, "Refused.clean() is async"):
            await ais_valid(Holding(self.GOOD))
