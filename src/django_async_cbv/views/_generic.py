"""Type variables and bases, to take the subscripts that Django's stubs take."""

from __future__ import annotations

from types import GenericAlias
from typing import TYPE_CHECKING, Any

from django.db.models import Model
from django.http import HttpResponse, HttpResponseBase
from django.views.generic import detail, edit
from django.views.generic import list as django_list

if TYPE_CHECKING:
    from django.forms import BaseForm, Form, ModelForm
    from django.forms.models import BaseModelForm
    from django.views.generic.detail import SingleObjectMixin
    from django.views.generic.edit import ModelFormMixin
    from django.views.generic.list import MultipleObjectMixin

    # Checkers alone: the module is no dependency, and before Python 3.13 that of the
    # standard library takes no default.
    from typing_extensions import TypeVar

    _M = TypeVar("_M", bound=Model)
    _F = TypeVar("_F", bound=BaseForm)
    _ModelF = TypeVar("_ModelF", bound=BaseModelForm[Any], default=ModelForm[_M])
    _DeleteF = TypeVar("_DeleteF", bound=BaseForm, default=Form)
    _R = TypeVar("_R", bound=HttpResponseBase, default=HttpResponseBase)
    _TemplateR = TypeVar("_TemplateR", bound=HttpResponse, default=HttpResponse)
else:
    from typing import TypeVar

    _M = TypeVar("_M")
    _F = TypeVar("_F")
    _ModelF = TypeVar("_ModelF")
    _DeleteF = TypeVar("_DeleteF")
    _R = TypeVar("_R")
    _TemplateR = TypeVar("_TemplateR")

__all__ = [
    "ModelFormMixin",
    "MultipleObjectMixin",
    "SingleObjectMixin",
    "subscriptable",
]


class subscriptable:  # noqa: N801 - reads as the function that it is
    """`subscriptable(ListView)[Book]`, as a base, is ListView itself."""

    def __init__(self, cls: type) -> None:
        self.cls = cls

    def __getitem__(self, item: Any) -> GenericAlias:
        # As a base class an alias stands for its origin (__mro_entries__).
        return GenericAlias(self.cls, item)


if not TYPE_CHECKING:
    ModelFormMixin = subscriptable(edit.ModelFormMixin)
    MultipleObjectMixin = subscriptable(django_list.MultipleObjectMixin)
    SingleObjectMixin = subscriptable(detail.SingleObjectMixin)

# A mixin's __class_getitem__(), where it has to be given a subscript at run time.
itself: Any = classmethod(lambda cls, _: cls)
