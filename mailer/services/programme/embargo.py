"""Embargoes: an approved statement waits for its moment; until then it is moved, lifted or dropped.

Setting one makes the alert's mailing at once, so that everything is prepared beforehand.
To lift it early, to move it or to drop it needs a second person where there is one; a
wish to move or drop holds the embargo until it is decided. Every function here wants
the mailing's row locked by `locked`, and `now` read after that.
"""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.db.embargoes import Embargo
from mailer.db.mailings import WAITING, Delivery, Mailing
from mailer.db.programme import Statement
from mailer.db.session import hint_after_commit
from mailer.services.audience import people
from mailer.services.desk import four_eyes
from mailer.services.house import House
from mailer.services.incidents import close_incident
from mailer.services.programme import review
from mailer.services.programme.alike import ask_about_repeat
from mailer.services.sending.announce import Announcement, announce
from mailer.services.sending.embargo_rows import DROPPED, TEXTS, alert_key, expiry, lock, rebase, revive
from mailer.services.sending.embargo_time import TimeRefusal, WallMoment, at_instant, in_words
from mailer.services.sending.preflight import Preflight, preflight
from mailer.vocabulary import (
    DeliveryState,
    EmbargoHold,
    EmbargoWish,
    MailingKind,
    MailingState,
    SkipReason,
    StatementState,
)
from mailer.wake import Task

TOPIC = "statements"
LONGEST_AHEAD_DAYS = 366


class EmbargoRefusal(Exception):
    """The embargo cannot be changed like this; the message says why and what can be done."""


def locked(session: Session, statement: Statement) -> Embargo | None:
    """The statement's embargo, with its mailing locked against every claim; None when it has none."""
    lock(session, statement)
    found = session.get(Embargo, statement.id, populate_existing=True)
    return found if statement.state is StatementState.SCHEDULED else None


def waiting(session: Session) -> list[tuple[Statement, Embargo]]:
    """Every statement under embargo, the next to open first."""
    rows = session.execute(
        select(Statement, Embargo)
        .join(Embargo, Embargo.statement_id == Statement.id)
        .where(Statement.state == StatementState.SCHEDULED)
        .order_by(Embargo.opens_at, Statement.id)
    )
    return [(statement, embargo) for statement, embargo in rows]


def schedule(
    session: Session,
    house: House,
    statement: Statement,
    moment: WallMoment,
    *,
    actor: str,
    now: datetime,
    expires_minutes: int | None = None,
    anyway: bool = False,
) -> tuple[Mailing, Preflight]:
    """Put an approved statement under embargo and announce its alert for that moment.

    `expires_minutes` after it whatever has not left never leaves; None: the kind's own lifetime.
    Raises ReviewRefusal, TimeRefusal, EmbargoRefusal, or FormError for a text that makes no mail, and
    StatementRefusal, unless `anyway`, for one much like one that was sent before.
    """
    if statement.state is StatementState.SCHEDULED:
        raise EmbargoRefusal(
            f"This statement is under embargo already. Move it with: mailer statement move-embargo "
            f"{statement.slug}"
        )
    if statement.state is not StatementState.IN_REVIEW:
        raise EmbargoRefusal(
            f"This statement is {statement.state.value}. Put it into review and have it approved first: "
            f"mailer statement review {statement.slug}"
        )
    review.check_approved(session, statement)
    _check_ahead(moment, now)
    ask_about_repeat(session, statement, anyway=anyway, now=now)
    found = session.get(Embargo, statement.id) or Embargo(statement_id=statement.id)
    _set(found, moment)
    found.expires_minutes, found.held, found.asked = expires_minutes, None, None
    session.add(found)
    statement.state = StatementState.SCHEDULED
    announcement = Announcement(
        key=alert_key(statement.id),
        kind=MailingKind.STATEMENT_ALERT,
        topic_id=people.topic(session, TOPIC).id,
        statement_id=statement.id,
        due_at=moment.instant,
        embargo_at=moment.instant,
        expires_at=expiry(moment.instant, expires_minutes),
    )
    mailing = revive(session, announce(session, house, announcement, now), announcement)
    _bind(mailing, statement)
    checked = preflight(session, house, mailing)
    review.note(session, statement, "embargo-set", actor, now, {"until": moment.instant.isoformat()})
    hint_after_commit(session, Task.SEND_DUE)
    return mailing, checked


def wish(
    session: Session,
    house: House,
    statement: Statement,
    what: EmbargoWish,
    *,
    actor: str,
    now: datetime,
    to: WallMoment | None = None,
) -> bool:
    """Ask to lift, move or drop the embargo; True when it is done because there is nobody else to ask.

    `to` is the new moment of a move. Raises EmbargoRefusal when the embargo is over, or TimeRefusal.
    """
    found = _waiting(session, statement, now)
    if what is EmbargoWish.MOVE:
        _check_ahead(_known(to), now)
    if four_eyes.is_alone(session, actor):
        _carry_out(session, house, statement, found, what, to, actor=actor, now=now, alone=True)
        return True
    moment = {"to": to.instant.isoformat(), "zone": to.zone, "later": to.later} if to else {}
    found.asked = {"what": what.value, "by": actor, **moment}
    if what is not EmbargoWish.LIFT and found.held is None:
        found.held = EmbargoHold.ASKED
    review.note(session, statement, f"embargo-{what.value}-asked", actor, now)
    return False


def approve(
    session: Session,
    house: House,
    statement: Statement,
    *,
    actor: str,
    now: datetime,
    as_read: str | None = None,
) -> EmbargoWish | None:
    """Approve what was asked, or, when nothing was, the text as it is now. Returns the wish carried out.

    With `as_read`, the mark of a text, only that text. Raises ReviewRefusal, SameEyes for the one who asked,
    EmbargoRefusal when it is too late.
    """
    found = locked(session, statement)
    if found is None or found.asked is None:
        review.approve(session, statement, actor=actor, now=now, as_read=as_read)
        if found is not None:
            mailing = _alert(session, statement)
            _bind(mailing, statement)
            preflight(session, house, mailing)
            if found.held is EmbargoHold.EDITED:
                _let_go(session, statement, found, now)
        return None
    alone = four_eyes.check(session, asked_by=str(found.asked["by"]), actor=actor)
    what = EmbargoWish(found.asked["what"])
    to = None
    if what is EmbargoWish.MOVE:
        to = at_instant(datetime.fromisoformat(found.asked["to"]), found.asked["zone"])
        _check_ahead(to, now)
    _waiting(session, statement, now)
    _carry_out(session, house, statement, found, what, to, actor=actor, now=now, alone=alone)
    return what


def refuse(session: Session, statement: Statement, *, actor: str, now: datetime) -> None:
    """Leave the embargo as it is: what was asked is off, and what it held goes on.

    Without a wish a statement in review goes back to its author as a draft.
    """
    found = locked(session, statement)
    if found is None:
        review.send_back(session, statement, actor=actor, now=now)
        return
    if found.asked is None:
        raise EmbargoRefusal("Nobody asked to change this embargo; there is nothing to refuse.")
    asked, found.asked = found.asked, None
    if found.held is EmbargoHold.ASKED:
        _let_go(session, statement, found, now)
    review.note(session, statement, f"embargo-{asked['what']}-refused", actor, now)


def _carry_out(
    session: Session,
    house: House,
    statement: Statement,
    found: Embargo,
    what: EmbargoWish,
    to: WallMoment | None,
    *,
    actor: str,
    now: datetime,
    alone: bool,
) -> None:
    found.asked = None
    mailing = _alert(session, statement)
    detail: dict[str, object] = {"alone": alone, "was": found.opens_at.isoformat()}
    if what is EmbargoWish.DROP:
        _drop(session, statement, found, mailing, now)
    else:
        if what is EmbargoWish.LIFT:
            review.check_approved(session, statement)
        moment = at_instant(now, found.zone) if what is EmbargoWish.LIFT else _known(to)
        _set(found, moment)
        rebase(session, mailing, moment.instant, expiry(moment.instant, found.expires_minutes))
        detail["until"] = moment.instant.isoformat()
        _let_go(session, statement, found, now)
    if what is EmbargoWish.LIFT:
        statement.state, statement.published_at = StatementState.PUBLISHED, now
    review.note(session, statement, f"embargo-{what.value}", actor, now, detail)


def _drop(session: Session, statement: Statement, found: Embargo, mailing: Mailing, now: datetime) -> None:
    """It is a draft again, and nobody gets anything; a new embargo, or publishing it, opens the same rows."""
    session.delete(found)
    statement.state, statement.review_asked_by = StatementState.DRAFT, None
    statement.approved_by = statement.approved_digest = None
    session.execute(
        update(Delivery)
        .where(Delivery.mailing_id == mailing.id, Delivery.state.in_(WAITING))
        .values(state=DeliveryState.CANCELLED, reason=SkipReason.EMBARGO_DROPPED.value, settled_at=now)
        .execution_options(synchronize_session=False)
    )
    if mailing.state is not MailingState.CANCELLED:  # one that staff have cancelled never comes back
        mailing.state, mailing.finished_at = MailingState.CANCELLED, now
        mailing.facts = {**mailing.facts, DROPPED: True}
    close_incident(session, held_key(statement.id), now)


def _alert(session: Session, statement: Statement) -> Mailing:
    return session.scalars(select(Mailing).where(Mailing.key == alert_key(statement.id))).one()


def _bind(mailing: Mailing, statement: Statement) -> None:
    """Whoever compiled a form of other texts compiles anew."""
    mailing.facts = {**mailing.facts, TEXTS: (statement.approved_digest or b"").hex()[:16]}


def held_key(statement_id: int) -> str:
    """The incident that says an embargo waits for a person."""
    return f"embargo-held:{statement_id}"


def _let_go(session: Session, statement: Statement, found: Embargo, now: datetime) -> None:
    found.held = None
    close_incident(session, held_key(statement.id), now)
    hint_after_commit(session, Task.SEND_DUE)


def _set(found: Embargo, moment: WallMoment) -> None:
    found.day, found.wall_time, found.zone = moment.day, moment.time, moment.zone
    found.later, found.opens_at, found.tzdata = moment.later, moment.instant, moment.tzdata


def _waiting(session: Session, statement: Statement, now: datetime) -> Embargo:
    """The embargo as it still can be changed: its moment has not come, or a hold keeps it shut."""
    found = locked(session, statement)
    if found is None:
        raise EmbargoRefusal(f"This statement is {statement.state.value} and not under embargo.")
    if found.held is None and found.opens_at <= now:
        raise EmbargoRefusal(
            f"The embargo was over at {in_words(found.opens_at, found.zone)}: the page is public, and mail "
            f"is leaving. What can still be stopped is its alert: mailer mailing cancel "
            f"{alert_key(statement.id)}"
        )
    return found


def _check_ahead(moment: WallMoment, now: datetime) -> None:
    words = in_words(moment.instant, moment.zone)
    if moment.instant <= now:
        raise TimeRefusal(f"{words} is over. Name a time to come, or publish at once.")
    if (moment.instant - now).days > LONGEST_AHEAD_DAYS:
        raise TimeRefusal(f"{words} is more than a year ahead. Check the year.")


def _known(moment: WallMoment | None) -> WallMoment:
    if moment is None:
        raise EmbargoRefusal("Say to which time the embargo moves.")
    return moment
