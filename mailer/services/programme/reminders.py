"""Reminders: each rule becomes one mailing per date of a symposium, planned ahead of its time.

What is past when it is planned is never sent: nothing bursts out because somebody made a
rule, edited a date, or a machine was off. Planning again changes only what is not yet on
its way, and gives nobody a second row.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from sqlalchemy import case, literal, or_, select, update
from sqlalchemy.orm import Session

from mailer.db import audience
from mailer.db.mailings import WAITING, Delivery, Mailing
from mailer.db.programme import Symposium
from mailer.messages import due, when
from mailer.services.house import House
from mailer.services.programme import facts
from mailer.services.sending import replan
from mailer.services.sending.announce import Announcement, announce
from mailer.services.sending.closing import close_overtaken
from mailer.services.sending.expand import expand_by_rule
from mailer.services.sending.outlook import Outlook, event_of, night, outlooks, rules_for, words_of, zones_of
from mailer.services.sending.traits import BY_RULE, NOTICES
from mailer.vocabulary import (
    DeliveryState,
    MailingKind,
    MailingState,
    RuleTiming,
    SkipReason,
    SymposiumState,
)

A_DAY = timedelta(hours=25)  # a civil day may have so many: reminders of the last one hold the way in
AT_ONCE = 50  # symposia planned by one sweep; the rest a sweep later


def plan(session: Session, house: House, symposium: Symposium, now: datetime) -> int:
    """Bring the reminders of a symposium in line with its date, its rules and its readers' zones.

    Returns how many are ahead. A symposium with an open question has none. The row must be held.
    """
    symposium.planned_at, symposium.nights = now, str(night())
    if symposium.state is not SymposiumState.ANNOUNCED or symposium.questions:
        return 0
    facts.stamp(session, symposium, now)
    known = _mailings(session, symposium)
    ahead, kept = 0, set()
    for outlook in _outlooks(session, symposium):
        key = key_of(symposium, outlook.rule.key)
        if key not in known and _came_too_late(symposium, outlook, known.values(), now):
            continue
        if outlook.is_ahead(now):
            ahead += 1
        elif key not in known:
            continue
        kept.add(_keep(session, house, symposium, outlook, now))
    _drop_others(session, symposium, kept, now)
    return ahead


def _came_too_late(symposium: Symposium, outlook: Outlook, known: Iterable[Mailing], now: datetime) -> bool:
    """True for a follow-up whose rule was made when its time was past and the others had been let go: an
    approval that is repeated for those who were noted late sends it to nobody."""
    own = due.due(words_of(outlook.rule), event_of(symposium))
    if outlook.rule.timing is not RuleTiming.AFTER_END or own is None or own.at > now:
        return False
    approved = symposium.follow_up_at or now
    return any(
        one.kind is MailingKind.FOLLOW_UP
        and one.generation == symposium.generation
        and one.created_at < approved
        for one in known
    )


def key_of(symposium: Symposium, rule_key: str) -> str:
    """The key of a rule's mailing for the present date: by it the database refuses a second one."""
    return f"symposium:{symposium.id}:reminder:{rule_key}:r{symposium.generation}"


def _outlooks(session: Session, symposium: Symposium, registration_id: int | None = None) -> list[Outlook]:
    zones = zones_of(session, symposium, registration_id)
    return outlooks(symposium, rules_for(session, symposium), zones)


def _mailings(session: Session, symposium: Symposium) -> dict[str, Mailing]:
    found = session.scalars(
        select(Mailing)
        .where(Mailing.symposium_id == symposium.id, Mailing.kind.in_(BY_RULE))
        .order_by(Mailing.id)  # two who register at once lock the mailings in one order
    )
    return {mailing.key: mailing for mailing in found}


def _keep(session: Session, house: House, symposium: Symposium, outlook: Outlook, now: datetime) -> int:
    """The rule's mailing with a row for everybody, each at their own time."""
    mailing = announce(session, house, _announcement(symposium, outlook), now)
    if mailing.state is not MailingState.EXPANDING:
        mailing.due_at, mailing.expires_at = outlook.opens_at, outlook.ends_at
        mailing.opens_at = min(mailing.opens_at, mailing.due_at)  # announced by a clock set back since
        mailing.rule_id = outlook.rule.id
        audience.retime(session, mailing, outlook.slot(now))
        if mailing.state is MailingState.DONE and outlook.is_ahead(now):
            mailing.state, mailing.finished_at = MailingState.SCHEDULED, None
    if mailing.state is not MailingState.CANCELLED:
        expand_by_rule(session, mailing, outlook, now)
    return mailing.id


def _announcement(symposium: Symposium, outlook: Outlook) -> Announcement:
    rule = outlook.rule
    follows = rule.timing is RuleTiming.AFTER_END
    return Announcement(
        key=key_of(symposium, rule.key),
        kind=MailingKind.FOLLOW_UP if follows else MailingKind.REMINDER,
        symposium_id=symposium.id,
        rule_id=rule.id,
        generation=symposium.generation,
        due_at=outlook.opens_at,
        expires_at=outlook.ends_at,
        facts={"audience": rule.audience.value, "joining": outlook.lead <= A_DAY and not follows},
    )


def _drop_others(session: Session, symposium: Symposium, kept: Collection[int], now: datetime) -> None:
    """Cancel what waits of other dates, and of rules that are gone."""
    reason = case(
        (Mailing.generation != symposium.generation, literal(SkipReason.DATE_MOVED.value)),
        else_=literal(SkipReason.RULE_REMOVED.value),
    )
    of_others = (
        Mailing.symposium_id == symposium.id,
        Mailing.kind.in_(BY_RULE),
        Mailing.id.not_in(kept),
    )
    others = select(Mailing.id).where(*of_others)
    why = select(reason).where(Mailing.id == Delivery.mailing_id).scalar_subquery()
    session.execute(
        update(Delivery)
        .where(Delivery.state.in_(WAITING), Delivery.mailing_id.in_(others))
        .values(state=DeliveryState.CANCELLED, reason=why, settled_at=now)
        .execution_options(synchronize_session=False)
    )
    session.flush()
    close_overtaken(session, now, *of_others)


def join(
    session: Session, symposium: Symposium, registration_id: int, now: datetime, *, came_back: bool = False
) -> None:
    """Give a new attendee their rows in the reminders that are planned: of those that are past by name.

    Who `came_back` has some, and takes up those that are still ahead.
    """
    facts.stamp(session, symposium, now)
    known = _mailings(session, symposium)
    for outlook in _outlooks(session, symposium, registration_id):
        mailing = known.get(key_of(symposium, outlook.rule.key))
        if mailing is None and outlook.is_ahead(now):
            symposium.planned_at = None  # nobody's turn was ahead; this reader's zone makes one
        elif mailing is not None and mailing.state is not MailingState.CANCELLED:
            if came_back:
                audience.retime(session, mailing, outlook.slot(now), registration_id=registration_id)
            expand_by_rule(session, mailing, outlook, now, only=registration_id)


def leave(session: Session, symposium: Symposium, registration_id: int, now: datetime) -> None:
    """Cancel what waits of reminders for an attendee who withdrew; `join` takes it up when they are back."""
    theirs = select(Mailing.id).where(Mailing.symposium_id == symposium.id, Mailing.kind.in_(BY_RULE))
    session.execute(
        update(Delivery)
        .where(
            Delivery.registration_id == registration_id,
            Delivery.state.in_(WAITING),
            Delivery.mailing_id.in_(theirs),
        )
        .values(state=DeliveryState.CANCELLED, reason=SkipReason.WITHDRAWN.value, settled_at=now)
        .execution_options(synchronize_session=False)
    )


def drop(session: Session, symposium: Symposium, reason: SkipReason, now: datetime) -> int:
    """Cancel everything of a symposium that still waits but confirmations; returns how many rows."""
    kinds = BY_RULE | NOTICES
    concerned = select(Mailing.id).where(Mailing.symposium_id == symposium.id, Mailing.kind.in_(kinds))
    dropped = session.execute(
        update(Delivery)
        .where(Delivery.state.in_(WAITING), Delivery.mailing_id.in_(concerned))
        .values(state=DeliveryState.CANCELLED, reason=reason.value, settled_at=now)
        .execution_options(synchronize_session=False)
    )
    close_overtaken(session, now, Mailing.symposium_id == symposium.id)
    return int(dropped.rowcount)  # type: ignore[attr-defined]


def plan_all(session: Session, house: House, now: datetime) -> int:
    """Plan the announced symposia that wait for it, and nothing else; returns how many reminders are ahead.

    They are found by an index that holds no others, and each is held while it is planned. Those that were
    planned around other quiet hours than today's are among them.
    """
    ahead_of_now = or_(Symposium.starts_at > now, Symposium.starts_at.is_(None))
    other = or_(Symposium.nights.is_(None), Symposium.nights != str(night()))
    replan.unplan(session, ahead_of_now, other, Symposium.planned_at.is_not(None))
    waiting = select(Symposium.id).where(
        Symposium.state == SymposiumState.ANNOUNCED, Symposium.planned_at.is_(None)
    )
    ahead = 0
    for number in session.scalars(waiting.order_by(Symposium.id).limit(AT_ONCE)).all():
        symposium = session.get_one(Symposium, number)
        session.refresh(symposium, with_for_update={"of": Symposium})
        if symposium.planned_at is None:  # and nobody was faster
            ahead += plan(session, house, symposium, now)
    return ahead


def outdated(session: Session, now: datetime) -> list[int]:
    """Coming symposia whose instant was derived with another time zone database than today's."""
    ahead = select(Symposium.id).where(
        Symposium.starts_at > now,
        Symposium.state != SymposiumState.CANCELLED,
        or_(Symposium.tzdata.is_(None), Symposium.tzdata != when.tzdata_version()),
    )
    return list(session.scalars(ahead.order_by(Symposium.id).limit(AT_ONCE)))
