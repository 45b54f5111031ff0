"""Predict the hops of a view's request from its class, without running any of it."""

from __future__ import annotations

import ast
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType, SimpleNamespace
from typing import Any

from django.db.models import Model

from ..core.hooks import (
    ANAMES,
    HOOKS,
    Hook,
    Override,
    StandIn,
    SyncAsked,
    handler_names,
    is_async_function,
    is_bridge,
    is_library,
    is_of_a_framework,
    mark_at,
    names_read,
)
from ..core.marks import is_async, mark_of
from ..core.source import tree_of
from ..core.twins import plan_of
from ..views._function import (
    is_made_in_worker,
    is_set_up_in_worker,
    may_validate_async,
    validates_async,
)
from .functions import HELPERS, ORM, Found, is_in_loop, last_name
from .paths import Paths, Step, bound
from .places import Place, State, add, at, cost, hop, join, move
from .tails import Stop, behind_decorators, stop_of

__all__ = ["Prediction", "Waits", "is_inherited", "predict"]

# Functions that make a call of their argument in a lifted body.
_CALLS = {"Call", "call", "partial", "respond"}
# A hook that returns a function, which its caller calls: `yield call(test)`.
_RESULTS = {"aget_test_func": "atest_func"}


@dataclass(frozen=True)
class Waits:
    """Sync code in which a worker thread waits for async code."""

    klass: type
    name: str
    function: Any
    # The async methods that the sync code waits for.
    causes: tuple[str, ...]
    stop: Stop


@dataclass
class Prediction:
    """The hops of one view and method: the fewest, the most, and why."""

    low: float = 0
    high: float = 0
    waits: list[Waits] = field(default_factory=list)
    # The overrides on the way, without those that Django's sync code calls in a hop.
    reached: set[tuple[type, str]] = field(default_factory=set)
    # The hooks that run on the event loop because of an async override below them.
    lifted: dict[str, Hook] = field(default_factory=dict)
    own: list[Found] = field(default_factory=list)
    # Functions without readable source, and functions that call themselves.
    unknown: list[str] = field(default_factory=list)
    # Whether an override makes the form, so that its validation may be async.
    form_is_unknown: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether the least and the most are one, and nothing is left open."""
        return self.low == self.high and not (self.own or self.unknown)


def predict(
    cls: type,
    method: str,
    initkwargs: Mapping[str, Any] | None = None,
    *,
    kwargs: Iterable[str] = (),
    transactions: int = 0,
    in_sync_code: bool = False,
) -> Prediction:
    """
    Predict the hops of one request to a view of this package.

    Rendering, which comes after the view, is not counted. `kwargs`: the names in its
    URL. `transactions`: of how many databases ATOMIC_REQUESTS is on. `in_sync_code`: a
    sync decorator calls the view.
    """
    given = dict.fromkeys(kwargs, "")
    return _Reading(cls, method, dict(initkwargs or {}), given).whole(
        transactions, in_sync_code=in_sync_code
    )


@dataclass(frozen=True)
class _Where:
    """The function that is read, and what its names mean."""

    function: Any
    home: type | None
    name: str
    me: str
    is_body: bool
    is_async: bool = False
    is_shared: bool = False


class _Reading:
    def __init__(
        self,
        cls: Any,
        method: str,
        initkwargs: dict[str, Any],
        kwargs: dict[str, Any],
    ) -> None:
        self.cls = cls
        self.plan = plan_of(cls, verify=True).with_own(
            frozenset(initkwargs.keys() & ANAMES.keys())
        )
        self.method = method
        self.initkwargs = initkwargs
        self.found = Prediction()
        self._memo: dict[Any, tuple[State, bool]] = {}
        self._open: set[Any] = set()
        # Whether the view has awaited something.
        self._awaited = False
        # The async methods on the way, in their order.
        self._met: list[str] = []
        self._set = frozenset(_attributes_set(cls))
        self._handlers = {*handler_names(cls)}
        self._view = self._bare_view(kwargs)
        # Forms whose validation may be async.
        posts = method in {"POST", "PUT"}
        self._form_may_await = posts and validates_async(cls, initkwargs)
        self.found.form_is_unknown = posts and may_validate_async(cls, initkwargs)

    def whole(self, transactions: int, *, in_sync_code: bool) -> Prediction:
        """The prediction of a request, from as_view()'s function on."""
        state = at(Place.HELD, 1, 1) if in_sync_code else at(Place.LOOP)
        if transactions:
            state = hop(state)
        if is_made_in_worker(self.plan, self.initkwargs):
            state = hop(state)
        if is_set_up_in_worker(self.plan):
            state = self.call("setup", state)
        state = self.call("dispatch", state)
        if transactions:
            state = hop(state)
        self.found.low, self.found.high = cost(state)
        return self.found

    def call(self, name: str, state: State, behind: type | None = None) -> State:
        """The state after a call of a method of the view."""
        return self._each(
            state, (name, behind), lambda at: self._call(name, at, behind)
        )

    def _each(self, state: State, key: Any, of: Callable[[Place], State]) -> State:
        return join(
            *(
                add(self._effect((key, place), place, of), low, high)
                for place, (low, high) in state.items()
            )
        )

    def _effect(self, key: Any, place: Place, of: Callable[[Place], State]) -> State:
        if key in self._open:
            self._give_up(f"{self.cls.__name__}.{key[0][0]}() calls itself")
            return at(place, 0, math.inf)
        if key not in self._memo:
            before, self._awaited = self._awaited, False
            self._open.add(key)
            state = of(place)
            self._open.remove(key)
            self._memo[key] = state, self._awaited
            self._awaited = before
        state, awaited = self._memo[key]
        self._awaited |= awaited
        return state

    def _give_up(self, why: str) -> None:
        if why not in self.found.unknown:
            self.found.unknown.append(why)

    def _call(self, name: str, place: Place, behind: type | None) -> State:
        if behind is None and name in self.initkwargs:
            return self._function(self.initkwargs[name], self.cls, name, place)
        for klass in self._after(behind):
            if _own_value(klass, name) is not None:
                return self._definition(klass, name, place)
        return hop(at(place))

    def _after(self, klass: type | None) -> tuple[type, ...]:
        if klass is None or klass not in self.plan.mro:
            return self.plan.mro
        return self.plan.mro[self.plan.mro.index(klass) + 1 :]

    def _definition(self, klass: type, name: str, place: Place) -> State:
        value = vars(klass)[name]
        mark = mark_at(klass, name)
        if isinstance(mark, Hook):
            return self._hook(mark, place)
        if is_bridge(value):
            aname = HOOKS.get(name, f"a{name}")
            for one in (klass, *self._after(klass)):
                if aname in vars(one):
                    return self._definition(one, aname, place)
        if isinstance(mark, SyncAsked):
            self._awaits(f"{klass.__name__}.{name}()")
            return move(hop(at(Place.LOOP)), _back(place))
        if isinstance(mark, Override):
            if is_inherited(mark):
                return self._call(name, place, klass)
            value = mark.function
        return self._function(value, klass, name, place)

    def _function(self, value: Any, klass: type, name: str, place: Place) -> State:
        """A function of the user's, or of a third party's, or Django's without twin."""
        if isinstance(value, StandIn):
            value = value.value
        function = getattr(value, "__func__", value)
        self.found.reached.add((klass, name))
        if is_async_function(value):
            self._awaits(f"{klass.__name__}.{name}()")
            function, _ = behind_decorators(function)
            if mark_of(function) is not None:
                state = self.call(name, at(Place.LOOP), klass)
            else:
                state = self._read(function, klass, name, at(Place.LOOP), is_async=True)
            return move(state, _back(place))
        function, stop = behind_decorators(function)
        if mark_of(function) is not None:
            # The class inherits this handler under a decorator.
            state, _ = self._from_handler(name, klass, at(Place.HELD))
        else:
            state = self._read(function, klass, name, at(Place.HELD), is_async=False)
        if stop is not None and Place.LOOP in state:
            self._waits(klass, name, function, stop, self._met[-1:])
            state = move(state, Place.HELD)
        return _from_sync_code(state, place)

    def _awaits(self, label: str) -> None:
        self._awaited = True
        if label in self._met:
            self._met.remove(label)
        self._met.append(label)

    def _hook(self, hook: Hook, place: Place) -> State:  # noqa: PLR0911 - a table
        """What a call of an async variant comes to, or of a handler of ours."""
        if not hook.is_handler and hook.name in self.initkwargs:
            return hop(at(place))
        if hook.calls is None:
            return self._handler(hook, place)
        choice = self.plan.choice(hook)
        if choice.lifted and self._is_async_below(hook):
            if self.plan.below_is_async(hook) and not hook.is_handler:
                self.found.lifted.setdefault(hook.name, hook)
            return self._body(hook, place, in_worker=choice.in_worker)
        function = choice.function
        if function is hook.standing() or choice.lifted:
            if self._is_pure(hook):
                return at(place)
            if not self.plan.async_hooks:
                return hop(at(place))
            # Sync code of Django, which may call a sync override that waits.
            state = self._body(hook, Place.HELD, in_worker=False)
            return _from_sync_code(state, place)
        for klass in self.plan.mro:
            own = vars(klass).get(hook.name)
            mark = mark_at(klass, hook.name)
            if own is function or (
                isinstance(mark, Override) and mark.function is function
            ):
                return self._function(function, klass, hook.name, place)
        return hop(at(place))

    def _handler(self, hook: Hook, place: Place) -> State:
        """View.dispatch(), or what answers in place of a handler."""
        if hook.name == "dispatch":
            return self.call(self._handler_name(), at(place))
        return hop(at(place)) if hook.name == "http_method_not_allowed" else at(place)

    def _handler_name(self) -> str:
        name = self.method.lower()
        if name == "head" and not hasattr(self.cls, "head"):
            name = "get"
        if name in self.cls.http_method_names and hasattr(self.cls, name):
            return name
        return "http_method_not_allowed"

    def _is_async_below(self, hook: Hook) -> bool:
        return (
            self.plan.below_is_async(hook)
            or (hook.always and self._form_may_await)
            or any(plan_of(one).async_hooks for one in getattr(self.cls, "inlines", ()))
        )

    def _is_pure(self, hook: Hook) -> bool:
        """Whether Django's own function does no I/O, as far as the class tells."""
        try:
            return self.plan.choice(hook).is_pure(self._view)
        except Exception:  # noqa: BLE001 - a view without a request has not all it needs
            return False

    def _bare_view(self, kwargs: dict[str, Any]) -> Any:
        """A view that is not set up, of which our own rules may ask attributes."""
        view = object.__new__(self.cls)
        vars(view).update(self.initkwargs)
        vars(view).update(
            args=(), kwargs=kwargs, request=SimpleNamespace(method=self.method, GET={})
        )
        model = getattr(self.cls, "model", None)
        vars(view)["object_list"] = []
        if isinstance(model, type) and issubclass(model, Model):
            vars(view)["object"] = object.__new__(model)
        return view

    def _body(self, hook: Hook, place: Place, *, in_worker: bool) -> State:
        where = _Where(
            hook.body,
            hook.home,
            hook.name,
            "self",
            is_body=True,
            is_shared=hook.is_shared,
        )
        state = at(place)
        if in_worker:
            state = hop(state)
        return self._read_as(where, state, in_worker=in_worker)

    def _read(
        self, function: Any, klass: type, name: str, state: State, *, is_async: bool
    ) -> State:
        """The state after a function of the user's, which is read and not run."""
        tree = tree_of(function)
        if tree is None:
            if type(function) is FunctionType or not is_of_a_framework(klass):
                self._give_up(f"{klass.__name__}.{name}() has no source")
            return state
        arguments = [*tree.args.posonlyargs, *tree.args.args]
        me = arguments[0].arg if arguments else ""
        where = _Where(function, klass, name, me, is_body=False, is_async=is_async)
        return self._read_as(where, state)

    def _read_as(
        self,
        where: _Where,
        state: State,
        names: Mapping[str, ast.expr] | None = None,
        *,
        in_worker: bool = False,
    ) -> State:
        tree = tree_of(where.function)
        if tree is None:
            self._give_up(f"{where.name}() has no source")
            return join(state, hop(state))
        paths = Paths(lambda *_: {}, lambda test: self._known(test, where, paths))
        if where.is_body:
            paths.step = lambda node, one: self._step(
                node, one, where, paths, in_worker
            )
        else:
            paths.step = lambda node, one: self._users(node, one, where, paths)
        paths.names.update(names or {})
        return paths.of(tree.body, state)

    # Calls of a lifted body.

    def _step(
        self, node: Step, state: State, where: _Where, paths: Paths, in_worker: bool
    ) -> State:
        if isinstance(node, ast.Yield) and node.value is not None:
            state = self._asked(node.value, state, where, paths)
        elif isinstance(node, ast.YieldFrom):
            state = self._asked_from(node.value, state, where, paths)
        else:
            return state
        return hop(state) if in_worker else state

    def _asked(
        self, asked: ast.expr, state: State, where: _Where, paths: Paths
    ) -> State:
        asked = _named(asked, paths.names)
        called, inline = asked, None
        if isinstance(asked, ast.Call) and last_name(asked.func) in _CALLS:
            called = asked.args[0]
            inline = next((k.value for k in asked.keywords if k.arg == "inline"), None)
        target = self._target(called, where, paths)
        if target is not None:
            name, behind = target
            if where.is_shared:
                aname = HOOKS.get(name, name)
                name = aname if hasattr(self.cls, aname) else name
            return self.call(name, state, behind)
        if inline is not None:
            known = self._known(inline, where, paths)
            if known is not False:
                return state if known else join(state, hop(state))
        if last_name(getattr(asked, "func", asked)) == "_granted":
            # The view has awaited the check, and its result is a boolean.
            return state
        return hop(state)

    def _asked_from(
        self, asked: ast.expr, state: State, where: _Where, paths: Paths
    ) -> State:
        if not isinstance(asked, ast.Call) or not isinstance(asked.func, ast.Name):
            return state
        name = asked.func.id
        if name == "validate":
            state = hop(state)
            if self._form_may_await:
                # The view awaits each form, sets the result on its instance, and calls
                # is_valid() again.
                later = hop(move(state, Place.LOOP))
                state = join(state, later, add(later, 0, 2))
            return state
        if name == "saved":
            return self._asked(asked.args[2], state, where, paths)
        if name == "call_and_await":
            return hop(state)
        function = where.function.__globals__.get(name)
        tree = tree_of(function)
        if tree is None:
            return join(state, hop(state))
        given = {
            one: _named(value, paths.names) for one, value in bound(tree, asked).items()
        }
        me = next(
            (one for one, value in given.items() if last_name(value) == where.me),
            "view",
        )
        given.pop(me, None)
        inner = _Where(function, where.home, name, me, is_body=True)
        return self._read_as(inner, state, given)

    # Calls of a function of the user.

    def _users(  # noqa: PLR0911 - a table
        self, node: Step, state: State, where: _Where, paths: Paths
    ) -> State:
        if isinstance(node, ast.AsyncFor):
            self._own(node, "async for", where, is_repeated=True)
            return state
        if not isinstance(node, ast.Call):
            return state
        target = self._target(node.func, where, paths)
        if target is None:
            if not where.is_async:
                return self._handed_over(node, state, where, paths)
            if (name := last_name(node.func)) in ORM | HELPERS:
                if name == "run_sync" and is_of_a_framework(where.home or object):
                    return hop(state)
                self._own(node, name, where, is_repeated=False)
            return state
        name, behind = target
        if where.is_async:
            if not self._gives_coroutine(name, behind):
                return state
            return move(self.call(name, state, behind), Place.LOOP)
        if name in self._handlers:
            return self._handler_in_sync_code(node, name, behind, state, where)
        return self._in_sync_code(node, name, behind, state, where)

    def _handed_over(
        self, node: ast.Call, state: State, where: _Where, paths: Paths
    ) -> State:
        """A handler that sync code has called by other code, for which it waits."""
        for given in node.args:
            target = self._target(given, where, paths)
            if target is None or target[0] not in self._handlers:
                continue
            state, causes = self._from_handler(*target, state)
            if Place.LOOP in state:
                stop = Stop(ast.unparse(node), node.lineno)
                self._waits(where.home, where.name, where.function, stop, causes)
                state = move(state, Place.HELD)
        return state

    def _own(
        self, node: ast.AST, name: str, where: _Where, *, is_repeated: bool
    ) -> None:
        own = Found(
            name,
            where.function.__code__.co_filename,
            getattr(node, "lineno", 0),
            is_repeated or is_in_loop(node, tree_of(where.function) or node),
        )
        if own not in self.found.own:
            self.found.own.append(own)

    def _gives_coroutine(self, name: str, behind: type | None) -> bool:
        if name in self._handlers or name in ANAMES:
            return True
        value = self._value(name, behind)
        return is_async_function(value) or is_async(value)

    def _value(self, name: str, behind: type | None) -> Any:
        if behind is None and name in self.initkwargs:
            return self.initkwargs[name]
        for klass in self._after(behind):
            if (value := _own_value(klass, name)) is not None:
                return value
        return None

    def _handler_in_sync_code(
        self,
        node: ast.Call,
        name: str,
        behind: type | None,
        state: State,
        where: _Where,
    ) -> State:
        """A `super().dispatch()`: what is async in it is waited for, or passed on."""
        after, causes = self._from_handler(name, behind, state)
        if Place.LOOP in after:
            stop = stop_of(where.function, node)
            if stop is not None:
                self._waits(where.home, where.name, where.function, stop, causes)
                return move(after, Place.HELD)
        return after

    def _from_handler(
        self, name: str, behind: type | None, state: State
    ) -> tuple[State, list[str]]:
        """A handler in sync code: on the event loop, if it comes to something async."""
        is_direct = self._is_sync_function(name, behind)
        place = Place.HELD if is_direct else Place.WORKER
        before, self._awaited = self._awaited, False
        met = len(self._met)
        after = self.call(name, move(state, place), behind)
        if not is_direct:
            after = move(after, Place.LOOP if self._awaited else Place.HELD)
        self._awaited |= before
        return after, self._met[met:] or self._met[-1:]

    def _is_sync_function(self, name: str, behind: type | None) -> bool:
        """Whether sync code calls a sync function of a project's, and no flow."""
        for klass in self._after(behind):
            value = _own_value(klass, name)
            if value is None:
                continue
            mark = mark_at(klass, name)
            if isinstance(mark, Override):
                if is_inherited(mark):
                    continue
                return not is_async_function(mark.function)
            return mark is None and not is_async_function(value)
        return False

    def _in_sync_code(
        self,
        node: ast.Call,
        name: str,
        behind: type | None,
        state: State,
        where: _Where,
    ) -> State:
        """A sync hook in sync code, which async overrides are met in."""
        for klass in self._after(behind):
            value = _own_value(klass, name)
            if value is None:
                continue
            before, self._awaited = self._awaited, False
            met = len(self._met)
            hook = self.plan.hook_at(klass, name)
            if is_bridge(value) or not (hook or isinstance(value, type)):
                state = self._each(
                    state,
                    (name, klass, "sync"),
                    functools.partial(self._definition, klass, name),
                )
            elif hook is not None and self.plan.below_is_async(hook):
                state = self._each(
                    state,
                    (name, hook, "body"),
                    functools.partial(self._body, hook, in_worker=False),
                )
            if self._awaited and not is_of_a_framework(where.home or object):
                stop = Stop("a sync hook", node.lineno)
                causes = self._met[met:] or self._met[-1:]
                self._waits(where.home, where.name, where.function, stop, causes)
            self._awaited |= before
            break
        return state

    def _waits(
        self,
        klass: type | None,
        name: str,
        function: Any,
        stop: Stop,
        causes: list[str],
    ) -> None:
        assert klass is not None
        known = {(each.klass, each.name) for each in self.found.waits}
        if (klass, name) not in known:
            found = tuple(dict.fromkeys(causes))
            self.found.waits.append(Waits(klass, name, function, found, stop))

    # The meaning of names and conditions.

    def _target(
        self, node: ast.expr, where: _Where, paths: Paths
    ) -> tuple[str, type | None] | None:
        """The method of the view that an expression names, and behind which class."""
        node = _named(node, paths.names)
        match node:
            case ast.Attribute(value=owner, attr=name):
                return self._attribute(owner, name, where, paths)
            case ast.Call(func=ast.Name(id="twin_or_hook"), args=[owner, key]):
                name = _text(key, paths.names) or ""
                aname = HOOKS.get(name, name)
                return self._attribute(
                    owner, aname if hasattr(self.cls, aname) else name, where, paths
                )
            case ast.Call(func=ast.Name(id="getattr"), args=[owner, key, *_]):
                name = _text(key, paths.names) or (
                    HOOKS.get(where.name, where.name) if where.is_body else where.name
                )
                return self._attribute(owner, name, where, paths)
            case ast.Yield(value=ast.Call(args=[asked, *_])):
                target = self._target(asked, where, paths)
                if target is not None and target[0] in _RESULTS:
                    return _RESULTS[target[0]], None
        return None

    def _attribute(
        self, owner: ast.expr, name: str, where: _Where, paths: Paths
    ) -> tuple[str, type | None] | None:
        owner = _named(owner, paths.names)
        behind: type | None = None
        match owner:
            case ast.Name(id=one) if one == where.me:
                pass
            case ast.Call(func=ast.Name(id="super")):
                behind = where.home
            case ast.Call(func=ast.Name(id="django_super"), args=[cls, _]):
                behind = _resolved(cls, where.function.__globals__)
            case _:
                return None
        value = self._value(name, behind)
        if value is None or isinstance(value, type | property):
            return None
        if not callable(getattr(value, "__func__", value)):
            return None
        return name, behind

    def _known(self, test: ast.expr, where: _Where, paths: Paths) -> bool | None:
        """What a condition in code of ours comes to, if the class tells."""
        is_ours = where.is_async and is_of_a_framework(where.home or object)
        if not (where.is_body or is_ours):
            return None
        return _Condition(self._view, self.cls, self._set, where, paths).of(test)


def _own_value(klass: type, name: str) -> Any:
    """What a class itself defines; None for what it inherits."""
    value = vars(klass).get(name)
    return None if isinstance(value, StandIn) and value.passes_on else value


class _Condition:
    """Conditions of our bodies: they ask of the view's attributes and the method."""

    def __init__(
        self,
        view: Any,
        cls: type,
        unknown: frozenset[str],
        where: _Where,
        paths: Paths,
    ) -> None:
        self._view = view
        self._cls = cls
        self._unknown = unknown
        self._where = where
        self._names = paths.names

    def of(self, node: ast.expr) -> bool | None:  # noqa: PLR0911 - a table
        """True, False, or None for what is known at run time only."""
        node = _named(node, self._names)
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                known = self.of(operand)
                return None if known is None else not known
            case ast.BoolOp(op=op, values=values):
                found = [self.of(one) for one in values]
                decides = isinstance(op, ast.Or)
                if decides in found:
                    return decides
                return None if None in found else not decides
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._compared(left, op, right)
            case ast.Call(func=ast.Name(id="hasattr"), args=[owner, ast.Constant()]):
                return self._has(owner, node.args[1])
            case ast.Call(func=ast.Name(id=name), args=[ast.Name(id=me)]):
                if me == self._where.me:
                    return self._asked(self._where.function.__globals__.get(name))
        value = self._value(node)
        return None if value is _UNKNOWN else bool(value)

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> bool | None:
        one, other = self._value(left), self._value(right)
        if one is _UNKNOWN or other is _UNKNOWN:
            return None
        match op:
            case ast.Is():
                return one is other
            case ast.IsNot():
                return one is not other
            case ast.In():
                return one in other
            case ast.Eq():
                return bool(one == other)
        return None

    def _has(self, owner: ast.expr, name: ast.expr) -> bool | None:
        if last_name(owner) == self._where.me and isinstance(name, ast.Constant):
            return hasattr(self._cls, str(name.value)) or None
        return None

    def _asked(self, function: Any) -> bool | None:
        """A rule of ours about the view, such as whether its queryset is plain."""
        if not isinstance(function, FunctionType) or not function.__module__.startswith(
            __name__.partition(".")[0]
        ):
            return None
        if names_read(function) & (self._unknown | {"object"}):
            return None
        try:
            return bool(function(self._view))
        except Exception:  # noqa: BLE001 - as _is_pure()
            return None

    def _value(self, node: ast.expr) -> Any:
        node = _named(node, self._names)
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Tuple(elts=parts) | ast.Set(elts=parts) | ast.List(elts=parts):
                values = [self._value(one) for one in parts]
                return _UNKNOWN if _UNKNOWN in values else values
            case ast.Attribute(
                value=ast.Attribute(value=ast.Name(id=me), attr="request"),
                attr="method",
            ) if me == self._where.me:
                return self._view.request.method
            case ast.Attribute(value=ast.Name(id=me), attr=name) if (
                me == self._where.me and name not in self._unknown
            ):
                return self._attribute(name)
        return _UNKNOWN

    def _attribute(self, name: str) -> Any:
        if name in {"object", "object_list", "kwargs", "args", "request"}:
            return _UNKNOWN
        if name in vars(self._view):
            return vars(self._view)[name]
        value = inspect.getattr_static(self._cls, name, _UNKNOWN)
        is_plain = value is None or isinstance(value, _PLAIN)
        # Conditions ask only whether there is a QuerySet or a class.
        return value if is_plain else (_UNKNOWN if hasattr(value, "__get__") else True)


_PLAIN = (bool, int, str, list, tuple, dict, type)
_UNKNOWN = object()
_TWINS_FILE = plan_of.__code__.co_filename


def is_inherited(mark: Override) -> bool:
    """Whether a handler is a plain mixin's, which a class of ours only passes on."""
    code = getattr(mark.function, "__code__", None)
    return code is not None and code.co_filename == _TWINS_FILE


def _from_sync_code(state: State, place: Place) -> State:
    """Where a request is after sync code, which it came to from a place."""
    back = Place.HELD if place is Place.HELD else Place.WORKER
    hops = 1 if place is Place.LOOP else 0
    return add(
        join(
            *(
                at(one if one is Place.LOOP else back, *found)
                for one, found in state.items()
            )
        ),
        hops,
        hops,
    )


def _back(place: Place) -> Place:
    """Where a request is after something was awaited for it."""
    return Place.HELD if place is Place.HELD else Place.LOOP


def _named(node: ast.expr, names: Mapping[str, ast.expr]) -> ast.expr:
    """What a name has been given, as far as that is an expression."""
    for _ in range(8):
        if not (isinstance(node, ast.Name) and node.id in names):
            break
        if names[node.id] is node or last_name(names[node.id]) == node.id:
            break
        node = names[node.id]
    return node


def _text(node: ast.expr, names: Mapping[str, ast.expr]) -> str | None:
    """The text of a constant, or of an f-string of what is known."""
    node = _named(node, names)
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = [
            _text(one.value if isinstance(one, ast.FormattedValue) else one, names)
            for one in node.values
        ]
        return None if None in parts else "".join(map(str, parts))
    return None


def _resolved(node: ast.expr, space: Mapping[str, Any]) -> Any:
    """What a dotted name stands for."""
    match node:
        case ast.Name(id=name):
            return space.get(name)
        case ast.Attribute(value=owner, attr=name):
            return getattr(_resolved(owner, space), name, None)
    return None


def _attributes_set(cls: type) -> Iterator[str]:
    """The attributes that the user's code assigns to, which the class does not tell."""
    for klass in cls.__mro__:
        if is_of_a_framework(klass) or is_library(klass):
            continue
        for value in vars(klass).values():
            mark = getattr(value, "_twin", None)
            tree = tree_of(getattr(mark, "function", None) or value)
            for node in () if tree is None else ast.walk(tree):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    yield node.attr
