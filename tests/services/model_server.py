"""The server of the corridor's model: what it may do with a letter, and what it says then.

The only part that is made up, and even its replies are judged by the engine's own table.
"""

from enum import Enum

from mailer.smtp.judge import judge
from mailer.smtp.outcome import Phase, Reason, unanswered


class Fate(Enum):
    """What the server does with one letter."""

    TAKEN = "taken"
    TAKEN_AND_SILENT = "taken, the reply is lost"
    LOST = "lost before it was taken, and so is the reply"
    LATER = "451 after the dot"
    NEVER = "550 after the dot"
    RECIPIENT_LATER = "450 to RCPT"
    RECIPIENT_NEVER = "550 to RCPT"
    RELAY = "421 to MAIL, the relay is closing"


ACCEPTS = frozenset({Fate.TAKEN, Fate.TAKEN_AND_SILENT})
SILENT = frozenset({Fate.TAKEN_AND_SILENT, Fate.LOST})
REPLY_TO_DOT = {
    Fate.TAKEN: judge(Phase.DOT, 250, "2.0.0", "ok"),
    Fate.LATER: judge(Phase.DOT, 452, "4.2.2", "mailbox full"),
    Fate.NEVER: judge(Phase.DOT, 550, "5.1.1", "no such user"),
}
BEFORE_DOT = {
    Fate.RECIPIENT_LATER: judge(Phase.RCPT, 450, "4.2.0", "greylisted, try again"),
    Fate.RECIPIENT_NEVER: judge(Phase.RCPT, 550, "5.1.1", "no such user"),
    Fate.RELAY: unanswered(Phase.EHLO, Reason.LOST),
}
