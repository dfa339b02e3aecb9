"""Announce: turn a decision into one mailing. Announcing twice is one mailing.

The key says what it is for ("statement:12:alert"); the database refuses a second
row with it, whoever tries and however often.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.dialect import insert
from mailer.db.mailings import Mailing
from mailer.db.session import hint_after_commit
from mailer.services.house import House
from mailer.services.sending.traits import TRAITS
from mailer.vocabulary import MailingKind, MailingState
from mailer.wake import Task


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """What is to be mailed to whom. The ids name the thing it is about; `due_at` defaults to now.

    Under an embargo nothing can be claimed before `embargo_at`, and it is the Date of its mails.

    Over `spread_seconds` its recipients fall due one after another.
    """

    key: str
    kind: MailingKind
    topic_id: int | None = None
    statement_id: int | None = None
    symposium_id: int | None = None
    campaign_id: int | None = None
    rule_id: int | None = None
    subscription_id: int | None = None
    registration_id: int | None = None
    generation: int | None = None
    due_at: datetime | None = None
    embargo_at: datetime | None = None
    expires_at: datetime | None = None
    undo_seconds: int = 0
    spread_seconds: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


def announce(session: Session, house: House, announcement: Announcement, now: datetime) -> Mailing:
    """Make the mailing, or find the one that was made before under the same key."""
    traits = TRAITS[announcement.kind]
    due_at = announcement.due_at or now
    statement = insert(session, Mailing).values(
        key=announcement.key,
        kind=announcement.kind,
        state=MailingState.EXPANDING,
        policy=traits.policy,
        rank=traits.rank,
        topic_id=announcement.topic_id,
        statement_id=announcement.statement_id,
        symposium_id=announcement.symposium_id,
        campaign_id=announcement.campaign_id,
        rule_id=announcement.rule_id,
        subscription_id=announcement.subscription_id,
        registration_id=announcement.registration_id,
        generation=announcement.generation,
        facts=announcement.facts,
        message_key=house.message_keys.current,
        token_key=house.tokens.current,
        opens_at=announcement.embargo_at or now + timedelta(seconds=announcement.undo_seconds),
        embargo_at=announcement.embargo_at,
        due_at=due_at,
        spread_seconds=announcement.spread_seconds,
        expires_at=announcement.expires_at
        or due_at + timedelta(seconds=announcement.spread_seconds) + traits.lifetime,
        created_at=now,
    )
    session.execute(statement.on_conflict_do_nothing(index_elements=["key"]))
    mailing = session.scalars(select(Mailing).where(Mailing.key == announcement.key)).one()
    if mailing.state is MailingState.EXPANDING:
        hint_after_commit(session, Task.EXPAND_MAILING, mailing.id)
    return mailing
