"""Who gets a mailing: one INSERT ... SELECT per kind of audience, repeatable without effect.

Everyone whom the mailing is meant for gets a row. A person who must not be mailed
gets one too, already skipped and with the reason, so that the books balance and
"why did X not get it?" has an answer.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from mailer.db.base import Instant, word
from mailer.db.dialect import insert
from mailer.db.lanes import EVERYONE_ELSE, LaneDomain
from mailer.db.mailings import REACHED, WAITING, Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Registration
from mailer.vocabulary import (
    LIFTABLE,
    Attendance,
    DeliveryState,
    MailingKind,
    MailingState,
    RegistrationState,
    RuleAudience,
    SkipReason,
    SubscriptionState,
)

COLUMNS = (
    "mailing_id",
    "subscriber_id",
    "registration_id",
    "lane_id",
    "rank",
    "state",
    "reason",
    "created_at",
    "due_at",
    "not_after",
    "attempts",
)


_CONFIRMED = frozenset({RegistrationState.CONFIRMED})
_HELD = frozenset({RegistrationState.CONFIRMED, RegistrationState.WAITING})
# Whom of a symposium a mailing is for; the claim asks it again.
STATES_OF: dict[MailingKind, frozenset[RegistrationState]] = {
    MailingKind.REGISTRATION_REQUEST: frozenset({RegistrationState.PENDING}),
    MailingKind.REGISTRATION_CONFIRMATION: _CONFIRMED,
    MailingKind.WAITING_LIST: frozenset({RegistrationState.WAITING}),
    MailingKind.WITHDRAWAL: frozenset({RegistrationState.WITHDRAWN}),
    MailingKind.REMINDER: _CONFIRMED,
    MailingKind.FOLLOW_UP: _CONFIRMED,
    MailingKind.CHANGE: _HELD,
    MailingKind.DATE_FIXED: _HELD,
    MailingKind.POSTPONED: _HELD,
    MailingKind.CANCELLATION: _HELD,
}
# Mails that ask whether somebody wants to come (back): who left of their own will may be asked.
ASKING = frozenset({MailingKind.OPT_IN, MailingKind.REGISTRATION_REQUEST})


@dataclass(frozen=True)
class Turn:
    """When something falls due for readers of one zone, and until when; `superseded`: not at all."""

    due_at: datetime
    not_after: datetime
    superseded: bool = False


@dataclass(frozen=True, kw_only=True)
class Slot:
    """When the rows of one expansion fall due and until when they may be sent (UTC).

    `dated`: their mails' Date, when it is not now: under an embargo its moment. `spread`: they fall due one
    after another over so long a window, each person at a place of their own. `zones`: readers whose zone has
    another turn than the rest.
    """

    now: datetime
    due_at: datetime
    not_after: datetime
    dated: datetime | None = None
    superseded: bool = False
    spread: timedelta = timedelta(0)
    zones: Mapping[str, Turn] = field(default_factory=dict)

    @property
    def turns(self) -> list[Turn]:
        return [Turn(self.due_at, self.not_after, self.superseded), *self.zones.values()]


def expand(session: Session, mailing: Mailing, slot: Slot, people: Select[Any]) -> int:
    """Add a delivery for each of the people not yet in the mailing; returns how many were added."""
    statement = insert(session, Delivery.__table__).from_select(list(COLUMNS), people)
    session.flush()
    added = session.connection().execute(
        statement.on_conflict_do_nothing(index_elements=["mailing_id", "subscriber_id"]),
        execution_options={"preserve_rowcount": True},  # an INSERT's count is dropped otherwise
    )
    mailing.expanded_at = slot.now
    return added.rowcount


def subscribers_of_topic(mailing: Mailing, slot: Slot) -> Select[Any]:
    """Everyone who asked for the topic and has not left it; the unconfirmed are skipped by name."""
    reason = case(
        (Subscriber.suppressed.is_not(None), SkipReason.SUPPRESSED.value),
        (Subscription.state == SubscriptionState.PENDING, SkipReason.UNCONFIRMED.value),
        else_=null(),
    )
    return (
        rows(mailing, slot, reason, registration_id=cast(null(), Registration.id.type))
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(
            Subscription.topic_id == mailing.topic_id,
            Subscription.state != SubscriptionState.UNSUBSCRIBED,
        )
    )


def subscriber_of_subscription(mailing: Mailing, slot: Slot) -> Select[Any]:
    """The one person a confirmation request or a welcome goes to.

    Who had left of their own will may be asked again whether they want to come back.
    """
    reason = case((_barred(mailing), SkipReason.SUPPRESSED.value), else_=null())
    return (
        rows(mailing, slot, reason, registration_id=cast(null(), Registration.id.type))
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(Subscription.id == mailing.subscription_id)
    )


def attendees(
    mailing: Mailing, slot: Slot, *, near: Collection[int] = (), registration_id: int | None = None
) -> Select[Any]:
    """Everyone whose registration for the symposium is as the kind asks, or the one that is named.

    Whom the same rule has reminded of a date in the generations `near` is skipped: the symposium
    moved so little that the change notice is enough.
    """
    cases: list[tuple[ColumnElement[bool], str]] = [(_barred(mailing), SkipReason.SUPPRESSED.value)]
    if mailing.rule_id is not None:
        due_at = by_zone(slot, READER_ZONE, lambda turn: literal(turn.due_at, Instant))
        cases.append((Registration.registered_at > due_at, SkipReason.REGISTERED_LATE.value))
        cases.append((Registration.reminders.is_(False), SkipReason.UNSUBSCRIBED.value))
        if any(turn.superseded for turn in slot.turns):
            gone = by_zone(slot, READER_ZONE, lambda turn: literal(turn.superseded))
            cases.append((gone.is_(True), SkipReason.SUPERSEDED.value))
        cases += _past(mailing, slot, due_at)
    if near:
        cases.append((_reminded_before(mailing, near), SkipReason.ALREADY_TOLD.value))
    people = (
        rows(mailing, slot, case(*cases, else_=null()), registration_id=Registration.id)
        .join(Registration, Registration.subscriber_id == Subscriber.id)
        .where(
            Registration.symposium_id == mailing.symposium_id,
            Registration.state.in_(STATES_OF[mailing.kind]),
        )
    )
    came = came_of(mailing)
    if came is not None:
        people = people.where(Registration.attendance == came)
    only = registration_id or mailing.registration_id
    return people.where(Registration.id == only) if only is not None else people


def _past(mailing: Mailing, slot: Slot, due_at: ColumnElement[Any]) -> list[tuple[ColumnElement[bool], str]]:
    """Nothing past bursts out; but who was there may be noted a little late, within the rule's grace."""
    if came_of(mailing) is not None:
        over = by_zone(slot, READER_ZONE, lambda turn: literal(turn.not_after <= slot.now))
        return [(over.is_(True), SkipReason.NOTED_LATE.value)]
    if any(turn.due_at <= slot.now for turn in slot.turns):
        return [(due_at <= slot.now, SkipReason.PLANNED_LATE.value)]
    return []


def came_of(mailing: Mailing) -> Attendance | None:
    """What must be noted of its readers; None for a mailing to all."""
    return ATTENDANCE_OF.get(mailing.facts.get("audience", ""))


def _barred(mailing: Mailing) -> ColumnElement[bool]:
    liftable = LIFTABLE if mailing.kind in ASKING else frozenset()
    return Subscriber.suppressed.is_not(None) & Subscriber.suppressed.not_in(liftable)


# An empty one was taken back for this symposium, which is not the same as never having said any.
READER_ZONE = func.nullif(func.coalesce(Registration.zone, Subscriber.zone), literal_column("''"))
ATTENDANCE_OF = {
    RuleAudience.ATTENDED.value: Attendance.ATTENDED,
    RuleAudience.NO_SHOW.value: Attendance.ABSENT,
}


def by_zone(
    slot: Slot, zone: ColumnElement[Any], value: Callable[[Turn], ColumnElement[Any]]
) -> ColumnElement[Any]:
    """A value of each reader's own turn."""
    rest = value(Turn(slot.due_at, slot.not_after, slot.superseded))
    if not slot.zones:
        return rest
    return case({name: value(turn) for name, turn in slot.zones.items()}, value=zone, else_=rest)


def _reminded_before(mailing: Mailing, generations: Collection[int]) -> ColumnElement[bool]:
    earlier, reminded = aliased(Mailing), aliased(Delivery)
    return exists().where(
        earlier.symposium_id == mailing.symposium_id,
        earlier.rule_id == mailing.rule_id,
        earlier.generation.in_(generations),
        reminded.mailing_id == earlier.id,
        reminded.subscriber_id == Subscriber.id,
        reminded.state.in_(REACHED | {DeliveryState.IN_DOUBT}),
    )


def rows(mailing: Mailing, slot: Slot, reason: Any, *, registration_id: Any) -> Select[Any]:
    """The columns of a delivery for each subscriber; `reason` is null for those who are to be mailed."""
    state_type = word(DeliveryState)
    state = case(
        (reason.is_(None), literal(DeliveryState.PENDING, state_type)),
        else_=literal(DeliveryState.SKIPPED, state_type),
    )
    return select(
        literal(mailing.id, Mailing.id.type).label("mailing_id"),
        Subscriber.id.label("subscriber_id"),
        registration_id.label("registration_id"),
        func.coalesce(LaneDomain.lane_id, EVERYONE_ELSE).label("lane_id"),
        literal(mailing.rank).label("rank"),
        state.label("state"),
        cast(reason, Delivery.reason.type).label("reason"),
        literal(slot.dated or slot.now, Instant).label("created_at"),
        _due_at(slot).label("due_at"),
        by_zone(slot, READER_ZONE, lambda turn: literal(turn.not_after, Instant)).label("not_after"),
        literal(0).label("attempts"),
    ).outerjoin_from(Subscriber, LaneDomain, LaneDomain.domain_index == Subscriber.domain_index)


def retime(session: Session, mailing: Mailing, slot: Slot, *, registration_id: int | None = None) -> None:
    """Give the rows that wait, or one attendee's, the turn they would have today; what was set aside and is
    ahead waits again."""
    zone = (
        select(READER_ZONE)
        .join(Subscriber, Subscriber.id == Registration.subscriber_id)
        .where(Registration.id == Delivery.registration_id)
        .scalar_subquery()
    )
    due_at = by_zone(slot, zone, lambda turn: literal(turn.due_at, Instant))
    not_after = by_zone(slot, zone, lambda turn: literal(turn.not_after, Instant))
    of_it = update(Delivery).where(Delivery.mailing_id == mailing.id)
    if registration_id is not None:
        of_it = of_it.where(Delivery.registration_id == registration_id)
    unfolded = {"synchronize_session": False}
    again = {
        "state": DeliveryState.PENDING,
        "reason": None,
        "settled_at": None,
        "due_at": due_at,
        "not_after": not_after,
    }
    session.execute(
        of_it.where(_set_aside(), due_at > slot.now).values(**again).execution_options(**unfolded)
    )
    came = came_of(mailing)
    if came is not None:
        session.execute(
            of_it.where(_noted_again(came), not_after > slot.now)
            .values(**again)
            .execution_options(**unfolded)
        )
    fresh = Delivery.state.in_(WAITING) & (Delivery.attempts == 0)
    session.execute(
        of_it.where(fresh, (Delivery.due_at != due_at) | (Delivery.not_after != not_after))
        .values(due_at=due_at, not_after=not_after)
        .execution_options(**unfolded)
    )
    if any(turn.superseded for turn in slot.turns):
        gone = by_zone(slot, zone, lambda turn: literal(turn.superseded))
        session.execute(
            of_it.where(fresh, gone.is_(True))
            .values(state=DeliveryState.SKIPPED, reason=SkipReason.SUPERSEDED.value, settled_at=slot.now)
            .execution_options(**unfolded)
        )


def _noted_again(came: Attendance) -> ColumnElement[bool]:
    """Rows that were left out for what was noted of their readers, who are noted otherwise now."""
    by_word = (SkipReason.ATTENDANCE.value, SkipReason.NOTED_LATE.value)
    is_so = exists().where(Registration.id == Delivery.registration_id, Registration.attendance == came)
    return (Delivery.state == DeliveryState.SKIPPED) & Delivery.reason.in_(by_word) & is_so


def _set_aside() -> ColumnElement[bool]:
    """Rows that come back when what set them aside holds no longer: of who withdrew, when they are back."""
    cancelled = Delivery.state == DeliveryState.CANCELLED
    is_back = exists().where(
        Registration.id == Delivery.registration_id, Registration.state == RegistrationState.CONFIRMED
    )
    left = cancelled & (Delivery.reason == SkipReason.WITHDRAWN.value) & is_back
    skipped = (Delivery.state == DeliveryState.SKIPPED) & (Delivery.reason == SkipReason.SUPERSEDED.value)
    return cancelled & Delivery.reason.in_(TAKEN_BACK) | left | skipped


TAKEN_BACK = (SkipReason.DATE_MOVED.value, SkipReason.RULE_REMOVED.value)
PLACES = 251  # in a window: a prime, so that ids which grow in steps fall on all of them


def _due_at(slot: Slot) -> ColumnElement[Any]:
    if not slot.spread:
        return by_zone(slot, READER_ZONE, lambda turn: literal(turn.due_at, Instant))
    moments = [slot.due_at + slot.spread * place / PLACES for place in range(PLACES)]
    place = Subscriber.id % PLACES
    return case({number: literal(moment, Instant) for number, moment in enumerate(moments)}, value=place)


@dataclass(frozen=True, kw_only=True)
class Books:
    """The account of one mailing, counted from its rows."""

    audience: int
    sent: int
    failed: int
    skipped: dict[str, int]
    in_doubt: int
    open: int

    @property
    def balanced(self) -> bool:
        """True when everyone of the audience is accounted for."""
        parts = self.sent + self.failed + sum(self.skipped.values()) + self.in_doubt + self.open
        return self.audience == parts


def books(session: Session, mailing_id: int) -> Books:
    """Count the mailing's rows by where they stand; the audience is counted apart: it can disagree."""
    audience = session.scalar(select(func.count()).where(Delivery.mailing_id == mailing_id)) or 0
    rows = session.execute(
        select(Delivery.state, Delivery.reason, func.count())
        .where(Delivery.mailing_id == mailing_id)
        .group_by(Delivery.state, Delivery.reason)
    ).all()
    sums = dict.fromkeys(("sent", "failed", "in_doubt", "open"), 0)
    skipped: dict[str, int] = {}
    for state, reason, count in rows:
        column = COLUMN_OF[state]
        if column == "skipped":
            word_ = reason or state.value
            skipped[word_] = skipped.get(word_, 0) + count
        else:
            sums[column] += count
    return Books(audience=audience, skipped=skipped, **sums)


COLUMN_OF = {
    DeliveryState.PENDING: "open",
    DeliveryState.CLAIMED: "open",
    DeliveryState.DEFERRED: "open",
    DeliveryState.SENT: "sent",
    DeliveryState.BOUNCED: "sent",
    DeliveryState.COMPLAINED: "sent",
    DeliveryState.FAILED: "failed",
    DeliveryState.IN_DOUBT: "in_doubt",
    DeliveryState.SKIPPED: "skipped",
    DeliveryState.CANCELLED: "skipped",
    DeliveryState.EXPIRED: "skipped",
}

UNFINISHED = frozenset(
    {MailingState.SCHEDULED, MailingState.EXPANDING, MailingState.SENDING, MailingState.PAUSED}
)
