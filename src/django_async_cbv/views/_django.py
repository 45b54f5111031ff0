"""Django's views as the bases of ours; `_django.pyi` says what type checkers see."""

# ruff: noqa: F403, F405

from types import GenericAlias
from typing import Any, TypeVar

from django.views.generic.base import *
from django.views.generic.dates import *
from django.views.generic.detail import *
from django.views.generic.edit import *
from django.views.generic.list import *

_M = TypeVar("_M")
_F = TypeVar("_F")
_ModelF = TypeVar("_ModelF")
_DeleteF = TypeVar("_DeleteF")
_R = TypeVar("_R")
_TemplateR = TypeVar("_TemplateR")


class subscriptable:  # noqa: N801 - reads as the function that it is
    """`subscriptable(ListView)[Book]`, as a base, is ListView itself."""

    def __init__(self, cls: type) -> None:
        self.cls = cls

    def __getitem__(self, item: Any) -> GenericAlias:
        # Python replaces an alias among the bases by its origin (__mro_entries__).
        return GenericAlias(self.cls, item)


# Django's stubs subscript these classes, which Django itself does not support.
View = subscriptable(View)
TemplateResponseMixin = subscriptable(TemplateResponseMixin)
SingleObjectMixin = subscriptable(SingleObjectMixin)
MultipleObjectMixin = subscriptable(MultipleObjectMixin)
BaseDateListView = subscriptable(BaseDateListView)
FormMixin = subscriptable(FormMixin)
ModelFormMixin = subscriptable(ModelFormMixin)
DeletionMixin = subscriptable(DeletionMixin)

# The __class_getitem__() of a mixin that code subscripts at run time.
itself: Any = classmethod(lambda cls, _: cls)
