"""The kill switch: staff stop everything that goes out, and let it go again.

While it is off nothing is claimed and what has not been offered to a server comes
back. It never changes a mailing: whatever waited goes on when the switch is on again.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from mailer.db.dialect import insert
from mailer.db.session import hint_after_commit
from mailer.db.staff import Switch
from mailer.services import audit
from mailer.services.sending.halt import SENDING
from mailer.wake import Task

LONGEST_REASON = 200  # characters of the audit entry


class SwitchRefusal(Exception):
    """The switch cannot be turned like this; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where the switch stands; `by` and `since` are None while nobody has ever turned it."""

    on: bool
    by: str | None
    since: datetime | None


def sending(session: Session) -> Position:
    """Where the kill switch stands."""
    found = session.get(Switch, SENDING)
    if found is None:
        return Position(on=True, by=None, since=None)
    return Position(on=found.on, by=found.actor, since=found.changed_at)


def stop(session: Session, *, reason: str, actor: str, now: datetime) -> bool:
    """Stop everything that goes out; the reason stands in the audit log. False when it was stopped already.

    The reason is refused when it is empty, or holds what looks like an address.
    """
    words = reason.strip()
    if not words or "@" in words:
        raise SwitchRefusal(
            "Say in a few words why everything stops, without anybody's address: it stands in the audit log."
        )
    return _turn(session, on=False, actor=actor, now=now, detail={"reason": words[:LONGEST_REASON]})


def go(session: Session, *, actor: str, now: datetime) -> bool:
    """Let everything go out again that waited; False when nothing was stopped."""
    turned = _turn(session, on=True, actor=actor, now=now, detail={})
    if turned:
        hint_after_commit(session, Task.SEND_DUE)
    return turned


def _turn(session: Session, *, on: bool, actor: str, now: datetime, detail: dict[str, str]) -> bool:
    if sending(session).on is on:
        return False
    statement = insert(session, Switch).values(name=SENDING, on=on, actor=actor, changed_at=now)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"on": on, "actor": actor, "changed_at": now}
        )
    )
    audit.record(
        session,
        actor=actor,
        action="sending-allowed" if on else "sending-stopped",
        subject="switch:sending",
        now=now,
        detail=detail,
    )
    session.expire_all()
    return True
