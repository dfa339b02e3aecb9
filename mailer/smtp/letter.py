"""What the engine is given: one letter for one recipient, or the draft of one.

A letter is only data. It never shows its addresses or its bytes, so that a
log line or a traceback which prints one gives nobody away.
"""

import time
from dataclasses import dataclass, field
from typing import Protocol

from mailer.smtp.outcome import Outcome


def boottime() -> float:
    """Seconds of CLOCK_BOOTTIME: the engine's clock. It also runs while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """The time for which the letters of one slice may be sent; its owner moves `until` on.

    `until` is a moment of the engine's clock. No final dot leaves after it.
    """

    __slots__ = ("until",)

    def __init__(self, until: float) -> None:
        self.until = until


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """One mail on its way to one recipient.

    `data` is the whole message with CRLF line ends. `fence` is the token of the
    claim under which it is sent; the journal keeps it beside the id. `not_after`
    and `lease` speak of the engine's clock (`boottime`): beyond them no transaction
    starts and no final dot is sent. An empty `sender` is the null sender
    (`MAIL FROM:<>`). `canonical` is the composer's word that every line of `data`
    ends with CRLF, also the last, that none begins with a dot, that there is no NUL
    and, where both addresses are ASCII, nothing but ASCII: it is then not looked
    through again.
    """

    id: int
    fence: int
    sender: str = field(repr=False)
    recipient: str = field(repr=False)
    data: bytes = field(repr=False)
    not_after: float | None = None
    lease: Lease | None = field(default=None, repr=False)
    canonical: bool = False


class Draft(Protocol):
    """What may be fed instead of a letter: composed at the moment a connection takes it."""

    @property
    def id(self) -> int: ...

    @property
    def fence(self) -> int: ...

    def compose(self) -> Letter | Outcome:
        """The letter, or what became of it instead. Called on the engine's thread: it must not block."""
