"""No method of another package's views is taken for a hook that is misspelled."""

from importlib import import_module

from tests.core.test_problems import assert_not_taken_for_hooks, methods_of

MODULES = (
    "allauth.account.mixins",
    "allauth.account.views",
    "braces.views",
    "django_filters.views",
    "django_tables2.views",
    "extra_views",
    "guardian.mixins",
    "rules.contrib.views",
)


def test_no_method_is_taken_for_a_hook():
    names = {
        name
        for module in map(import_module, MODULES)
        for cls in vars(module).values()
        if isinstance(cls, type)
        and cls.__module__.partition(".")[0] == module.__name__.partition(".")[0]
        for name in methods_of(cls)
    }
    assert names >= {
        "get_table_kwargs",
        "get_filterset",
        "check_permissions",
        "get_ajax",
    }
    assert_not_taken_for_hooks(names)
