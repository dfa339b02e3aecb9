"""The table of faults: a name, what is broken, and how many seeds it is worth.

A fault is a function of a `Run`. It starts what it needs, publishes, breaks something
and mends it, and returns what may be left behind. The run then comes to its end by
itself and is audited.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from drills.run import Allowed, Run

Play = Callable[[Run], Allowed]


class NotHere(Exception):
    """This machine cannot play this fault; the message says what it lacks."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`both`: worth a run over DATA and one over BDAT even in the quick table; `slow`: not played there."""

    name: str
    play: Play
    both: bool = False
    slow: bool = False


def table() -> tuple[Fault, ...]:
    """Every fault there is, in the order of the printed table."""
    from drills.faults import (
        broker,
        clock,
        database,
        desk,
        disk,
        embargo,
        kills,
        letters,
        orderly,
        relay,
        zombie,
    )

    rooms: Iterable[tuple[Fault, ...]] = (
        kills.FAULTS,
        orderly.FAULTS,
        zombie.FAULTS,
        broker.FAULTS,
        database.FAULTS,
        relay.FAULTS,
        clock.FAULTS,
        disk.FAULTS,
        desk.FAULTS,
        embargo.FAULTS,
        letters.FAULTS,
    )
    return tuple(fault for room in rooms for fault in room)
