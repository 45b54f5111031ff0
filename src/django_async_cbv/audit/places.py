"""Count the hops on the way through code, from the least to the most there can be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum

__all__ = ["NOWHERE", "Place", "State", "add", "at", "cost", "hop", "join", "move"]


class Place(Enum):
    """Where a request is while code runs for it."""

    LOOP = "on the event loop"
    # In a worker thread, which the request leaves when it awaits.
    WORKER = "in a worker thread"
    # In sync code, which waits for async code.
    HELD = "in sync code"


# For each place where a request may be, the fewest and the most hops on the way.
State = Mapping[Place, tuple[float, float]]

NOWHERE: State = {}


def at(place: Place, low: float = 0, high: float = 0) -> State:
    """The state of a request that is certain to be there."""
    return {place: (low, high)}


def join(*states: State) -> State:
    """The state where any of several paths may have been taken."""
    found: dict[Place, tuple[float, float]] = {}
    for state in states:
        for place, (low, high) in state.items():
            other = found.get(place, (math.inf, -math.inf))
            found[place] = min(low, other[0]), max(high, other[1])
    return found


def add(state: State, low: float, high: float) -> State:
    """The state after code that makes some hops, and ends where it began."""
    return {place: (least + low, most + high) for place, (least, most) in state.items()}


def move(state: State, place: Place) -> State:
    """The state after something for which a request is in one certain place."""
    return join(*(at(place, *hops) for hops in state.values()))


def hop(state: State) -> State:
    """The state after sync code: a hop for a request that is on the event loop."""
    return join(
        *(
            at(Place.WORKER, low + 1, high + 1)
            if place is Place.LOOP
            else at(place, low, high)
            for place, (low, high) in state.items()
        )
    )


def cost(state: State) -> tuple[float, float]:
    """The fewest and the most hops, wherever they lead."""
    if not state:
        return 0, 0
    return min(low for low, _ in state.values()), max(
        high for _, high in state.values()
    )
