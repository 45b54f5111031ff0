"""Follow the paths through the source of a function, call after call."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .places import NOWHERE, State, cost, join

__all__ = ["Paths", "Step"]

# Rounds of a loop that show whether further rounds cost more.
_ROUNDS = 3

Step = ast.Call | ast.Yield | ast.YieldFrom | ast.Await | ast.AsyncFor
_INNER = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
)
_LOOPS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass
class Paths:
    """
    One reading of a function.

    `step` is asked for the state after each call, `yield` and `await`, in the order
    in which Python runs them. `known` tells what a condition comes to, or None.
    """

    step: Callable[[Step, State], State]
    known: Callable[[ast.expr], bool | None]
    # The names that the function has bound.
    names: dict[str, ast.expr] = field(default_factory=dict)
    _ends: list[State] = field(default_factory=list)

    def of(self, body: Iterable[ast.stmt], state: State) -> State:
        """The state in which the function returns."""
        end = self._block(body, state)
        return join(end, *self._ends)

    def _block(self, body: Iterable[ast.stmt], state: State) -> State:
        for statement in body:
            if not state:
                break
            state = self._statement(statement, state)
        return state

    def _statement(  # noqa: PLR0911, PLR0912 - a table
        self, node: ast.stmt, state: State
    ) -> State:
        match node:
            case ast.Return():
                self._ends.append(self._optional(node.value, state))
                return NOWHERE
            case ast.Raise():
                return NOWHERE
            case ast.If():
                after = self._expression(node.test, state)
                return self._branches(node.test, node.body, node.orelse, after)
            case ast.For() | ast.AsyncFor():
                state = self._expression(node.iter, state)
                if isinstance(node, ast.AsyncFor):
                    state = self.step(node, state)
                return self._loop(lambda one: self._block(node.body, one), state)
            case ast.While():
                state = self._expression(node.test, state)
                return self._loop(lambda one: self._block(node.body, one), state)
            case ast.Try():
                tried = self._block(node.body, state)
                handled = [
                    self._block(each.body, join(state, tried)) for each in node.handlers
                ]
                done = join(self._block(node.orelse, tried), *handled)
                return self._block(node.finalbody, done)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    state = self._expression(item.context_expr, state)
                return self._block(node.body, state)
            case ast.Match():
                state = self._expression(node.subject, state)
                return join(
                    state, *(self._block(case.body, state) for case in node.cases)
                )
            case ast.Assign(targets=[ast.Name(id=name)]):
                state = self._expression(node.value, state)
                self._name(name, node.value)
                return state
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                state = self._expression(value, state)
                self._name(name, value)
                return state
        if isinstance(node, _INNER):
            return state
        return self._children(node, state)

    def _name(self, name: str, value: ast.expr) -> None:
        """Note what a name stands for, unless that is made of what it stood for."""
        if any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(value)):
            self.names.pop(name, None)
        else:
            self.names[name] = value

    def _branches(
        self,
        test: ast.expr,
        body: Iterable[ast.stmt],
        other: Iterable[ast.stmt],
        state: State,
    ) -> State:
        known = self.known(test)
        taken = NOWHERE if known is False else self._block(body, state)
        left = NOWHERE if known is True else self._block(other, state)
        return join(taken, left)

    def _loop(self, once: Callable[[State], State], state: State) -> State:
        """Any number of rounds; if each costs more, there is no telling how many."""
        before = state
        for _ in range(_ROUNDS):
            before, state = state, join(state, once(state))
        if cost(state)[1] > cost(before)[1]:
            return {place: (low, float("inf")) for place, (low, _) in state.items()}
        return state

    def _optional(self, node: ast.expr | None, state: State) -> State:
        return state if node is None else self._expression(node, state)

    def _expression(self, node: ast.expr, state: State) -> State:
        match node:
            case ast.BoolOp():
                first, *rest = node.values
                state = self._expression(first, state)
                before = [first]
                for value in rest:
                    stops = isinstance(node.op, ast.Or)
                    known = self.known(before[-1])
                    if known is stops:
                        break
                    after = self._expression(value, state)
                    state = after if known is not None else join(state, after)
                    before.append(value)
                return state
            case ast.IfExp():
                state = self._expression(node.test, state)
                known = self.known(node.test)
                one = NOWHERE if known is False else self._expression(node.body, state)
                two = NOWHERE if known is True else self._expression(node.orelse, state)
                return join(one, two)
            case ast.Lambda():
                return state
        if isinstance(node, _LOOPS):
            outermost = node.generators[0]
            state = self._expression(outermost.iter, state)
            return self._loop(lambda one: self._children(node, one), state)
        state = self._children(node, state)
        if isinstance(node, ast.Call | ast.Yield | ast.YieldFrom | ast.Await):
            state = self.step(node, state)
        return state

    def _children(self, node: ast.AST, state: State) -> State:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                state = self._expression(child, state)
            elif isinstance(child, ast.stmt):
                state = self._statement(child, state)
            else:
                # The value of an argument, or a part of a comprehension.
                state = self._children(child, state)
        return state


def bound(
    tree: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call
) -> Mapping[str, ast.expr]:
    """The expressions that a call gives to the arguments of a function."""
    names = [one.arg for one in (*tree.args.posonlyargs, *tree.args.args)]
    given = dict(zip(names, call.args, strict=False))
    given.update({one.arg: one.value for one in call.keywords if one.arg})
    return given
