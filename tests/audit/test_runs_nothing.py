"""The audit reads functions: it runs nothing of the project's, and never fails."""

from __future__ import annotations

import pytest

from django_async_cbv.audit.functions import blocking_calls, own_hops
from django_async_cbv.audit.report import _blocking
from tests.audit import lazy


@pytest.mark.parametrize(
    "name",
    [
        *("reads_lazy", "calls_lazy", "reads_module", "makes", "wrapped", "cycle"),
        *("shadowed", "in_a_thread", "config", "anything", "around_a_class"),
    ],
)
def test_nothing_is_run_or_found(name):
    # By name, because pytest asks for attributes of a parameter.
    value = vars(lazy)[name]
    assert [*blocking_calls(value)] == [*own_hops(value)] == []
    assert [*_blocking(type("View", (), {"value": value}))] == []
