"""Doubt: ask the log of the local Postfix what became of deliveries nobody has an answer for.

Accepted there is sent. Not accepted there, certainly, may be tried again whatever the
policy, for nobody has it. Where the log does not reach back, is silent or has gaps, the
doubt stays: silence is no answer.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from mailer.db import texts
from mailer.db.mailings import Attempt, Claim, Delivery, Mailing
from mailer.db.programme import Statement
from mailer.db.translation_readers import told_otherwise
from mailer.messages.tokens import message_id
from mailer.services import audit
from mailer.services.house import House
from mailer.services.sending.relay_log import Search, search
from mailer.services.sending.told import remember, told_once
from mailer.smtp.outcome import Fault, Phase, Reason, Verdict
from mailer.smtp.postfix_log import Fate
from mailer.vocabulary import DeliveryState, MailingKind, MailingState, SkipReason, StatementState

MARGIN = timedelta(minutes=10)  # the longest a server may think about a final dot, RFC 5321 4.5.3.2.6
FRESH = timedelta(minutes=20)  # younger doubts are looked up every time, older ones
SELDOM = 30  # when the clock's minute is a multiple of this, and for
A_DAY = timedelta(days=1)  # only; then a person asks
EARLIER = timedelta(minutes=5)  # the log is read from so long before the first claim
AT_ONCE = 20_000  # deliveries looked up in one reading, the newest doubts first
GROUP = 500  # deliveries written in one transaction
LOG_ACTOR = "relay-log"

log = structlog.get_logger()


class Undecided(StrEnum):
    """Why the log could not settle a doubt."""

    NO_LOG = "no_log"  # MAILER_POSTFIX_LOG is not set
    UNREADABLE = "unreadable"
    TOO_EARLY = "too_early"  # the server may still be thinking
    LOG_TOO_SHORT = "log_too_short"  # it does not reach back so far
    LOG_SILENT = "log_silent"  # it has no line since then, so it may have stopped
    LINES_LOST = "lines_lost"  # the system dropped lines
    OTHER_RELAYS = "other_relays"  # several relays: it may have gone through one that keeps another log
    UNFINISHED = "unfinished"  # seen, neither taken nor refused
    KEY_LOST = "key_lost"  # the key of its Message-ID is gone from the ring


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What one look at the log settled, and why the rest stays in doubt."""

    accepted: int = 0
    not_accepted: int = 0
    undecided: dict[Undecided, int] = field(default_factory=dict)

    @property
    def asked(self) -> int:
        """How many deliveries were in doubt."""
        return self.accepted + self.not_accepted + sum(self.undecided.values())


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """One delivery in doubt: since when its mail may stand in the log, and when the doubt was noted."""

    id: int
    fence: int | None
    mailing_id: int
    message_key: int
    first_claim: datetime
    doubted_at: datetime


def resolve_doubt(
    house: House, now: datetime, *, mailing_id: int | None = None, actor: str = LOG_ACTOR
) -> Resolved:
    """Settle what the log knows of all mailings, or of one at a person's wish. Meant for every minute.

    Without a wish nothing is read that was read often enough, and nothing without MAILER_POSTFIX_LOG.
    """
    asked = mailing_id is not None or actor != LOG_ACTOR
    if house.settings.postfix_log is None and not asked:
        return Resolved()
    with house.database.read() as session:
        doubts = [one for one in _doubts(session, mailing_id) if asked or _worth_a_look(one, now)]
    if not doubts:
        return Resolved()
    verdicts = _verdicts(house, doubts, now)
    settled: Counter[Fate] = Counter()
    for group in _groups([doubt for doubt in doubts if isinstance(verdicts[doubt.id], Fate)]):
        with house.database.write() as session:
            settled += _write(session, group, verdicts, now, actor)
    undecided = Counter(verdict for verdict in verdicts.values() if isinstance(verdict, Undecided))
    if settled:
        log.info("doubt-settled", sent=settled[Fate.ACCEPTED], back=settled[Fate.REFUSED])
    return Resolved(
        accepted=settled[Fate.ACCEPTED], not_accepted=settled[Fate.REFUSED], undecided=dict(undecided)
    )


def _worth_a_look(doubt: Doubt, now: datetime) -> bool:
    age = now - doubt.doubted_at
    return age < FRESH or (age < A_DAY and now.minute % SELDOM == 0)


def _doubts(session: Session, mailing_id: int | None) -> list[Doubt]:
    tried = aliased(Claim)
    of_tries = (
        select(func.min(tried.claimed_at))
        .join(Attempt, Attempt.fence == tried.id)
        .where(Attempt.delivery_id == Delivery.id, Attempt.verdict == Verdict.IN_DOUBT.value)
        .correlate(Delivery)
        .scalar_subquery()
    )
    statement = (
        select(Delivery, Mailing.message_key, of_tries, Claim.claimed_at)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .outerjoin(Claim, Claim.id == Delivery.fence)
        .where(Delivery.state == DeliveryState.IN_DOUBT)
        .order_by(Delivery.settled_at.desc())
        .limit(AT_ONCE)
    )
    if mailing_id is not None:
        statement = statement.where(Delivery.mailing_id == mailing_id)
    return [
        Doubt(
            id=delivery.id,
            fence=delivery.fence,
            mailing_id=delivery.mailing_id,
            message_key=message_key,
            first_claim=min((at for at in claims if at is not None), default=delivery.created_at),
            doubted_at=delivery.settled_at or delivery.due_at,
        )
        for delivery, message_key, *claims in session.execute(statement)
    ]


def _verdicts(house: House, doubts: Sequence[Doubt], now: datetime) -> dict[int, Fate | Undecided]:
    path = house.settings.postfix_log
    if path is None:
        return dict.fromkeys((doubt.id for doubt in doubts), Undecided.NO_LOG)
    names = {doubt.id: _name(house, doubt) for doubt in doubts}
    since = min(doubt.first_claim for doubt in doubts) - EARLIER
    try:
        found = search(path, [name for name in names.values() if name], since, now)
    except OSError as problem:
        log.warning("relay-log-unreadable", kind=type(problem).__name__)
        return dict.fromkeys(names, Undecided.UNREADABLE)
    verdicts = {doubt.id: _verdict(doubt, names[doubt.id], found, now) for doubt in doubts}
    if not _one_relay(house.settings.smtp_url):  # what is not here may be in another's log
        for number, verdict in verdicts.items():
            verdicts[number] = Undecided.OTHER_RELAYS if verdict is Fate.REFUSED else verdict
    return verdicts


def _one_relay(smtp_url: str) -> bool:
    """True when everything goes through one relay, so that its log tells everything."""
    named = smtp_url.replace(",", " ").split()
    return len(named) == 1 and named[0].startswith(("smtp:", "smtps:"))


def _name(house: House, doubt: Doubt) -> str | None:
    """The left part of the Message-ID: the domain behind it is a setting and may have changed since."""
    try:
        whole = message_id(house.message_keys, doubt.message_key, doubt.id, house.sending_domain)
    except ValueError:
        return None
    return whole.strip("<>").partition("@")[0]


def _verdict(doubt: Doubt, name: str | None, found: Search, now: datetime) -> Fate | Undecided:
    if name is None:
        return Undecided.KEY_LOST
    fate = found.fates.get(name)
    if fate is Fate.ACCEPTED:
        return fate
    if fate is Fate.UNFINISHED:
        return Undecided.UNFINISHED
    # What follows says "not accepted", and is said only where every line of that time was read.
    if found.begins is None or found.ends is None or found.begins > doubt.first_claim - EARLIER:
        return Undecided.LOG_TOO_SHORT
    if now < doubt.doubted_at + MARGIN:
        return Undecided.TOO_EARLY
    if found.ends < doubt.doubted_at:
        return Undecided.LOG_SILENT
    return Undecided.LINES_LOST if found.gaps else Fate.REFUSED


def _groups(doubts: Iterable[Doubt]) -> Iterator[list[Doubt]]:
    rest = iter(sorted(doubts, key=lambda doubt: (doubt.mailing_id, doubt.id)))
    while group := list(islice(rest, GROUP)):
        yield group


def _write(
    session: Session, group: Sequence[Doubt], verdicts: dict[int, Fate | Undecided], now: datetime, actor: str
) -> Counter[Fate]:
    """Move those that are still in the same doubt; who was released meanwhile is left alone."""
    by_id = {doubt.id: doubt for doubt in group}
    still = session.execute(
        select(Delivery, Mailing)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(Delivery.id.in_(list(by_id)), Delivery.state == DeliveryState.IN_DOUBT)
        .order_by(Delivery.id)
        .with_for_update(of=Delivery)
    ).all()
    counts: dict[int, Counter[Fate]] = {}
    for delivery, mailing in still:
        fate = verdicts[delivery.id]
        if delivery.fence != by_id[delivery.id].fence or not isinstance(fate, Fate):
            continue
        if fate is Fate.ACCEPTED:
            _sent(session, delivery, mailing, now)
        elif overtaken := _overtaken(session, delivery, mailing):
            delivery.state, delivery.reason, delivery.settled_at = DeliveryState.CANCELLED, overtaken, now
        else:
            _back(delivery, mailing, now)
        session.add(_attempt(delivery, fate, now))
        counts.setdefault(mailing.id, Counter())[fate] += 1
    for number, settled in counts.items():
        detail = {"sent": settled[Fate.ACCEPTED], "back": settled[Fate.REFUSED]}
        audit.record(
            session, actor=actor, action="doubt-settled", subject=f"mailing:{number}", now=now, detail=detail
        )
    return sum(counts.values(), Counter[Fate]())


def _sent(session: Session, delivery: Delivery, mailing: Mailing, now: datetime) -> None:
    delivery.state, delivery.reason = DeliveryState.SENT, None
    told = told_once(session, mailing, delivery.fence)
    if delivery.registration_id is not None and told is not None:  # only where nothing later is known
        remember(session, [(delivery.registration_id, told._replace(firm=False))], [], now)


def _overtaken(session: Session, delivery: Delivery, mailing: Mailing) -> SkipReason | None:
    """Why its text must not leave again: who may have had it is told of the correction instead."""
    if mailing.statement_id is None or mailing.kind is MailingKind.RETRACTION:
        return None
    statement = session.get_one(Statement, mailing.statement_id)
    if statement.state is StatementState.RETRACTED:
        return SkipReason.RETRACTED
    older = texts.corrected_since(statement.id, delivery.version, delivery.language)
    if session.scalar(select(older)):
        return SkipReason.CORRECTED
    told = told_otherwise(mailing)
    has_it = told is not None and session.scalar(select(Delivery.id).where(Delivery.id == delivery.id, told))
    return SkipReason.ALREADY_TOLD if has_it else None


def _back(delivery: Delivery, mailing: Mailing, now: datetime) -> None:
    delivery.settled_at = now
    if mailing.state is MailingState.CANCELLED:
        delivery.state, delivery.reason = DeliveryState.CANCELLED, SkipReason.MAILING_CANCELLED.value
    elif delivery.not_after <= now:
        delivery.state, delivery.reason = DeliveryState.EXPIRED, SkipReason.TOO_LATE.value
    else:
        delivery.state, delivery.reason = DeliveryState.PENDING, None
        delivery.due_at, delivery.settled_at = now, None
        if mailing.state is MailingState.DONE:
            mailing.state, mailing.finished_at = MailingState.SENDING, None


def _attempt(delivery: Delivery, fate: Fate, now: datetime) -> Attempt:
    accepted = fate is Fate.ACCEPTED
    return Attempt(
        delivery_id=delivery.id,
        fence=delivery.fence or 0,
        at=now,
        verdict=(Verdict.SENT if accepted else Verdict.DEFERRED).value,
        fault=Fault.NONE.value,
        phase=Phase.DOT.value,
        reason=(Reason.ACCEPTED if accepted else Reason.LOST).value,
        reply="settled by the relay's log",
    )
