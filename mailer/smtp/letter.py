"""What the engine is given: one letter for one recipient, complete before it starts.

A letter is only data. It never shows its addresses or its bytes, so that a
log line or a traceback which prints one gives nobody away.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """One mail on its way to one recipient.

    `data` is the whole message with CRLF line ends. `fence` is the token of the
    claim under which it is sent; the journal keeps it beside the id. `not_after`
    is a moment of the engine's monotonic clock (seconds) beyond which no
    transaction starts and no final dot is sent. An empty `sender` is the null
    sender (`MAIL FROM:<>`).
    """

    id: int
    fence: int
    sender: str = field(repr=False)
    recipient: str = field(repr=False)
    data: bytes = field(repr=False)
    not_after: float | None = None
