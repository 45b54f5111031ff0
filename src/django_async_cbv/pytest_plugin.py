"""
The pytest plugin: fixtures and a marker for hops, and the tests with most of them.

It imports nothing of Django's or of this package's before a test asks for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ._testing import blocking, dropped, hops
    from ._testing.blocks import Block
    from ._testing.hops import HopLimit, count_hops

__all__ = [
    "assert_max_hops",
    "assert_num_hops",
    "forbid_blocking",
    "forbid_dropped_coroutines",
    "forbid_repeated_hops",
]

_OPTION = "--async-cbv-hops"
_FORBID = "async_cbv_forbid_blocking"
_ALLOW = "async_cbv_allow_blocking"
_THRESHOLD = "async_cbv_blocking_threshold"
# The blocks that fixtures of a test have started. The plugin checks them when the test
# ends.
_BLOCKS: pytest.StashKey[list[Block]] = pytest.StashKey()
# The block that finds blocking calls in a test.
_BLOCKING: pytest.StashKey[blocking.forbid_blocking] = pytest.StashKey()
# The number of hops of a test that has ended.
_COUNT = pytest.StashKey[int]()
# The attribute of a report, which pytest-xdist sends to the main process.
_ATTRIBUTE = "async_cbv_hops"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the tests with most hops, and the settings."""
    parser.getgroup("django-async-cbv").addoption(
        _OPTION,
        type=_at_least_none,
        metavar="N",
        help="list the N tests with most hops to worker threads (0: all of them)",
    )
    parser.addini(_FORBID, "fail each test that blocks an event loop", "bool", False)
    parser.addini(
        _ALLOW, "functions that may block: package.module:function", "linelist"
    )
    parser.addini(
        _THRESHOLD, "seconds for which code may keep the event loop", default="0.1"
    )


def _at_least_none(value: str) -> int:
    if not value.isdecimal():
        raise argparse.ArgumentTypeError(
            f"{value!r} is not a number of tests. Write for example 10"
        )
    return int(value)


def pytest_configure(config: pytest.Config) -> None:
    """Describe the marker; refuse settings that cannot hold."""
    config.addinivalue_line(
        "markers", "max_hops(n): fail if the test makes more hops to worker threads"
    )
    if config.getini(_FORBID) and find_spec("blockbuster") is None:
        raise pytest.UsageError(_missing())
    for function in config.getini(_ALLOW):
        if function != "*" and ":" not in function:
            raise pytest.UsageError(
                f"{_ALLOW} needs package.module:function, not {function!r}."
            )
    threshold = config.getini(_THRESHOLD)
    if not _is_above_none(threshold):
        raise pytest.UsageError(
            f"{_THRESHOLD} needs a number of seconds above 0, not {threshold!r}."
        )


def _is_above_none(number: str) -> bool:
    try:
        return float(number) > 0
    except ValueError:
        return False


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Look for what blocks, from the first fixture on, if the settings say so."""
    # Some plugins run a test again, and need an empty list.
    item.stash[_BLOCKS] = []
    if not item.config.getini(_FORBID):
        return (yield)
    block = item.stash[_BLOCKING] = _new_forbid_blocking(item.config)
    item.stash[_BLOCKS].append(block)
    block.start()
    try:
        return (yield)
    except BaseException:
        block.stop()
        raise


def _missing() -> str:
    from ._testing.calls import MISSING  # noqa: PLC0415 - see the module

    return MISSING


def _new_forbid_blocking(config: pytest.Config) -> blocking.forbid_blocking:
    from ._testing.blocking import forbid_blocking  # noqa: PLC0415 - see the module

    return forbid_blocking(
        allow=config.getini(_ALLOW), threshold=float(config.getini(_THRESHOLD))
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Count the hops of a test, and check its blocks while it can still fail."""
    marker = item.get_closest_marker("max_hops")
    blocks = [*item.stash[_BLOCKS]]
    counted: count_hops | None = None
    if marker is not None:
        counted = _limit_of(marker)
    elif item.config.getoption(_OPTION) is not None:
        from ._testing.hops import count_hops  # noqa: PLC0415 - see the module

        counted = count_hops(everywhere=True)
    if counted is not None:
        counted.start()
        blocks.append(counted)
    try:
        result = yield
    finally:
        for block in blocks:
            block.stop()
        if counted is not None:
            item.stash[_COUNT] = counted.count
    wrong = []
    for block in blocks:
        try:
            block.check()
        except (AssertionError, UserWarning) as error:
            wrong.append(str(error))
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
    return result


def _limit_of(marker: pytest.Mark) -> HopLimit:
    from ._testing.hops import HopLimit  # noqa: PLC0415 - see the module

    def limit(n: int, *, info: str | None = None) -> HopLimit:
        # Everywhere, because a plugin for async tests may run the test in another
        # context.
        return HopLimit(n, exact=False, info=info, everywhere=True)

    try:
        return limit(*marker.args, **marker.kwargs)
    except (TypeError, ValueError):
        pytest.fail(
            "max_hops needs a number of hops, 0 or more: @pytest.mark.max_hops(3)",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the count of a test into its report."""
    report = yield
    if call.when == "call" and item.config.getoption(_OPTION) is not None:
        setattr(report, _ATTRIBUTE, item.stash.get(_COUNT, 0))
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """List the tests with most hops, as pytest lists the slowest ones."""
    number: int | None = config.getoption(_OPTION)
    if number is None:
        return
    found = [
        (getattr(report, _ATTRIBUTE), report.nodeid)
        for reports in terminalreporter.stats.values()
        for report in reports
        if hasattr(report, _ATTRIBUTE)
    ]
    found.sort(key=lambda pair: (-pair[0], pair[1]))
    title = "most hops" if not number else f"{number} tests with most hops"
    terminalreporter.write_sep("=", title)
    for hops, name in found[: number or None]:
        if hops:
            terminalreporter.write_line(f"{hops:6} {name}")
    total = sum(hops for hops, _ in found)
    terminalreporter.write_line(f"{total:6} hops in {len(found)} tests")


@pytest.fixture
def assert_max_hops() -> Callable[..., HopLimit]:
    """
    Fail a test if a block of it makes too many hops.

    Write `with assert_max_hops(3):`, or `async with`.

    Returns:
        A function that takes the number, and `info=` for the message. It returns a
        context manager for `with` and `async with`. The block fails with AssertionError
        if it makes more hops.

    Runs on:
        The thread of the test. No hop.
    """
    from ._testing.hops import HopLimit  # noqa: PLC0415 - see the module

    def limit(n: int, *, info: str | None = None) -> HopLimit:
        return HopLimit(n, exact=False, info=info)

    return limit


@pytest.fixture
def assert_num_hops() -> Callable[..., HopLimit]:
    """
    Fail a test if a block of it makes another number of hops.

    Write `with assert_num_hops(3):`, or `async with`.

    Returns:
        A function that takes the number, and `info=` for the message. It returns a
        context manager for `with` and `async with`. The block fails with AssertionError
        if it makes more hops, or fewer.

    Runs on:
        The thread of the test. No hop.
    """
    from ._testing.hops import HopLimit  # noqa: PLC0415 - see the module

    def limit(n: int, *, info: str | None = None) -> HopLimit:
        return HopLimit(n, exact=True, info=info)

    return limit


@pytest.fixture
def forbid_blocking(
    request: pytest.FixtureRequest,
) -> Generator[blocking.forbid_blocking]:
    """
    Fail the test if a call blocks an event loop.

    Returns:
        The `forbid_blocking` of the test. Call its `allow()` for functions that may
        block.

    Runs on:
        The thread of the test. No hop.
    """
    block = request.node.stash.get(_BLOCKING, None)
    if block is not None:
        yield block
        return
    if find_spec("blockbuster") is None:
        pytest.fail(_missing(), pytrace=False)
    yield from _during(request, _new_forbid_blocking(request.config))


@pytest.fixture
def forbid_repeated_hops(
    request: pytest.FixtureRequest,
) -> Generator[hops.forbid_repeated_hops]:
    """
    Fail the test if one line asks for the same function again and again.

    Returns:
        The `forbid_repeated_hops` of the test. Call its `allow()` for functions that
        may repeat.

    Runs on:
        The thread of the test. No hop.
    """
    from ._testing.hops import forbid_repeated_hops  # noqa: PLC0415 - see the module

    yield from _during(request, forbid_repeated_hops(everywhere=True))


@pytest.fixture
def forbid_dropped_coroutines(
    request: pytest.FixtureRequest,
) -> Generator[dropped.forbid_dropped_coroutines]:
    """
    Fail the test if it drops a coroutine that nobody has awaited.

    Returns:
        The `forbid_dropped_coroutines` of the test.

    Runs on:
        The thread of the test. No hop.
    """
    from ._testing.dropped import forbid_dropped_coroutines  # noqa: PLC0415 - see the module

    yield from _during(request, forbid_dropped_coroutines())


def _during(request: pytest.FixtureRequest, block: Any) -> Generator[Any]:
    """Begin a block, which ends with the test, or with the fixture where none runs."""
    request.node.stash[_BLOCKS].append(block)
    block.start()
    try:
        yield block
    finally:
        block.stop()
