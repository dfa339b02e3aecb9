"""Halt: what staff have stopped, asked before every claim and again while mail is out.

Two questions of one query each, cheap enough to be asked several times a second. A
database without the switch's row has never been stopped. Nothing is changed here:
the switches are turned in services.desk.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import literal, select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.staff import Switch
from mailer.vocabulary import MailingState

SENDING = "sending"  # the kill switch's name
STOPPED = frozenset({MailingState.PAUSED, MailingState.CANCELLED})
_EVERYTHING = 0  # no mailing has this id


@dataclass(frozen=True, kw_only=True)
class Halt:
    """What must not go on: everything, or some of the mailings that were asked about."""

    everything: bool
    mailings: frozenset[int]

    def __bool__(self) -> bool:
        return self.everything or bool(self.mailings)

    def stops(self, mailing_id: int) -> bool:
        """True when nothing more of this mailing may leave."""
        return self.everything or mailing_id in self.mailings


def sending_allowed(session: Session) -> bool:
    """True unless the kill switch is off; ask it in the transaction that claims."""
    return session.scalar(select(Switch.on).where(Switch.name == SENDING)) is not False


def halted_mailings(session: Session, mailing_ids: Collection[int]) -> Halt:
    """Which of these mailings are paused or cancelled, and whether everything is stopped. One query."""
    switch = select(literal(_EVERYTHING)).where(Switch.name == SENDING, Switch.on.is_(False))
    stopped = select(Mailing.id).where(Mailing.id.in_(list(mailing_ids)), Mailing.state.in_(STOPPED))
    found = frozenset(session.scalars(switch.union_all(stopped)))
    return Halt(everything=_EVERYTHING in found, mailings=found - {_EVERYTHING})
