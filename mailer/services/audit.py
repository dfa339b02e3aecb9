"""The audit log: who did what, chained so that a missing or altered entry shows. Never an address."""

import json
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.staff import AuditEntry

FIRST = bytes(32)


def record(
    session: Session,
    *,
    actor: str,
    action: str,
    subject: str,
    now: datetime,
    detail: dict[str, Any] | None = None,
) -> None:
    """Append one entry. `subject` names a thing by kind and id, `detail` holds words and numbers only."""
    last = session.scalars(
        select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1).with_for_update()
    ).first()
    entry = AuditEntry(
        at=now,
        actor=actor,
        action=action,
        subject=subject,
        detail=detail or {},
        previous=last.digest if last else FIRST,
        digest=FIRST,
    )
    entry.digest = _digest(entry)
    session.add(entry)
    session.flush()


def first_break(session: Session) -> int | None:
    """The id of the first entry that does not follow from the one before it, or None when all do."""
    previous = FIRST
    for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.id)):
        if entry.previous != previous or entry.digest != _digest(entry):
            return entry.id
        previous = entry.digest
    return None


def _digest(entry: AuditEntry) -> bytes:
    told = [entry.at.isoformat(), entry.actor, entry.action, entry.subject, entry.detail]
    return sha256(entry.previous + json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).digest()
