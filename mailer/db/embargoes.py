"""Embargoes: until when a statement is nobody's, and the questions that decide whether that is over.

The page, the feeds and the claim ask the same thing of the same two rows, through one gate
(services.sending.gate): the moment has passed by the database's own clock, and nobody holds
the embargo. A wall time in a zone is the truth; `opens_at` is the instant derived from it,
kept with the tzdata release that derived it.
"""

from collections.abc import Collection
from datetime import date, datetime, time
from hashlib import sha256

from sqlalchemy import ColumnElement, ForeignKey, String, and_, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.types import JSON

from mailer.db.base import Base, Instant, JsonObject, word
from mailer.db.dialect import is_postgresql
from mailer.db.mailings import Mailing
from mailer.db.programme import Statement, StatementText
from mailer.vocabulary import EmbargoHold, MailingState, StatementState, TextState

AHEAD = frozenset({MailingState.EXPANDING, MailingState.SCHEDULED, MailingState.SENDING})


class Embargo(Base):
    """The embargo of one statement; its row stays after the moment and goes when the embargo is dropped."""

    __tablename__ = "embargoes"

    statement_id: Mapped[int] = mapped_column(ForeignKey("statements.id"), primary_key=True)
    day: Mapped[date]
    wall_time: Mapped[time]
    zone: Mapped[str] = mapped_column(String(64))
    later: Mapped[bool] = mapped_column(default=True)  # of two equal wall times in autumn
    opens_at: Mapped[datetime] = mapped_column(Instant)  # derived, see tzdata
    tzdata: Mapped[str] = mapped_column(String(16))
    expires_minutes: Mapped[int | None]  # after it: what has not left by then never leaves
    held: Mapped[EmbargoHold | None] = mapped_column(word(EmbargoHold))
    asked: Mapped[JsonObject | None] = mapped_column(JSON(none_as_null=True))  # what waits for approval


def due(session: Session, now: datetime) -> list[tuple[Statement, Embargo]]:
    """The statements still under an embargo whose moment has passed by both clocks and that nobody holds.

    The caller's clock is the database's, carried on between two looks at it; so that is asked once more.
    """
    rows = session.execute(
        select(Statement, Embargo)
        .join(Embargo, Embargo.statement_id == Statement.id)
        .where(
            Statement.state == StatementState.SCHEDULED,
            Embargo.opens_at <= now,
            *([Embargo.opens_at <= func.clock_timestamp()] if is_postgresql(session) else []),
            Embargo.held.is_(None),
        )
        .order_by(Statement.id)
        .execution_options(populate_existing=True)
    )
    return [(statement, embargo) for statement, embargo in rows]


def is_public(opened: Collection[int]) -> ColumnElement[bool]:
    """True for statements that anybody may read: published, even if retracted since (their title and the
    reason stay), or among those whose embargo has opened."""
    return or_(
        Statement.state.in_((StatementState.PUBLISHED, StatementState.RETRACTED)),
        and_(Statement.state == StatementState.SCHEDULED, Statement.id.in_(sorted(opened))),
    )


def next_opening(session: Session, now: datetime) -> datetime | None:
    """The nearest moment after `now` at which an embargo ends, whether or not somebody holds it."""
    return session.scalar(
        select(func.min(Mailing.embargo_at, type_=Instant())).where(
            Mailing.embargo_at > now, Mailing.state.in_(AHEAD)
        )
    )


def opening_at(session: Session, moment: datetime) -> list[Mailing]:
    """The mailings whose embargo ends at that moment."""
    found = select(Mailing).where(Mailing.embargo_at == moment, Mailing.state.in_(AHEAD))
    return list(session.scalars(found.order_by(Mailing.rank, Mailing.id)))


def over_at(
    session: Session, mailing_ids: Collection[int], moment: datetime
) -> list[tuple[int, Statement, Embargo]]:
    """Those of these mailings whose embargo is over at `moment` and not held.

    The mailings stay locked until the claim commits, so that no move of the embargo slips in between; one
    that is being moved this instant is passed over.
    """
    rows = session.execute(
        select(Mailing.id, Statement, Embargo)
        .join(Statement, Statement.id == Mailing.statement_id)
        .join(Embargo, Embargo.statement_id == Statement.id)
        .where(
            Mailing.id.in_(list(mailing_ids)),
            Mailing.embargo_at <= moment,
            Embargo.opens_at <= moment,
            Embargo.held.is_(None),
        )
        .with_for_update(read=True, key_share=True, skip_locked=True, of=Mailing)
        .execution_options(populate_existing=True)
    )
    return [(mailing, statement, embargo) for mailing, statement, embargo in rows]


def texts_digest(session: Session, statement_id: int) -> bytes:
    """A hash of what the statement would say now: its present version in every language that is ready."""
    rows = session.execute(
        select(StatementText.language, StatementText.version, StatementText.title, StatementText.body)
        .join(Statement, Statement.id == StatementText.statement_id)
        .where(
            Statement.id == statement_id,
            StatementText.version == Statement.version,
            StatementText.state == TextState.READY,
        )
        .order_by(StatementText.language)
    )
    digest = sha256()
    for language, version, title, body in rows:
        for part in (language, str(version), title, body):
            digest.update(sha256(part.encode()).digest())
    return digest.digest()
