"""Caution: how a lane reacts to what servers say. Pure: outcomes in, a slower or closed lane out.

A server that asks for patience slows its lane and rests it for a while; one that calls our
mail unwanted closes it until a person has looked; refusals that are the sender's fault, in a
row, open the breaker. Nothing here ever counts against a recipient.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from mailer.smtp.outcome import Fault, Outcome, Reason, Verdict
from mailer.smtp.pace import SLOWEST

FOREVER = datetime(9000, 1, 1, tzinfo=UTC)  # closed until a person opens it
PAUSE = timedelta(minutes=1)  # after the first throttling; twice as long at each further slowness
CLEAN = timedelta(minutes=30)  # without throttling, until the slowness is halved
HANGS_UP = 421
BREAKER = 5  # sender's faults in a row
BREAKER_REST = timedelta(minutes=30)
SILENT_REST = timedelta(seconds=5)  # a relay that said nothing; doubled each time, up to what the table says
STAFF = "staff"  # why a lane is closed that a person closed
MAX_COUNT = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """How many replies in a row are believed to speak for the whole lane, by what they say."""

    throttled: int = 1
    closing: int = 1  # a plain 421: the server hangs up
    blocked: int = 1


SITE = Trust()
RELAY = Trust(closing=5, blocked=10)  # it speaks for itself when it asks for patience, else for others too
MANY_SITES = Trust(throttled=5, closing=5, blocked=10)


class Alarm(StrEnum):
    """What staff is told of a lane; also the first part of the incident's key."""

    BLOCKED = "lane-blocked"
    BREAKER = "lane-breaker"

    @property
    def why(self) -> str:
        """The word that the lane keeps for why it is closed."""
        return Reason.BLOCKED.value if self is Alarm.BLOCKED else Reason.SENDER.value


@dataclass(frozen=True, kw_only=True, slots=True)
class Caution:
    """How careful a lane is, as it is stored. `faults` counts refusals in a row that were no recipient's."""

    slowness: float = 1.0
    closed_until: datetime | None = None
    closed_why: str | None = None
    faults: int = 0

    def is_closed(self, now: datetime) -> bool:
        return self.closed_until is not None and self.closed_until > now

    def slowness_at(self, now: datetime) -> float:
        """The slowness, halved for each clean time since the lane last opened."""
        since = self.closed_until
        if self.slowness <= 1 or since is None or since >= now:
            return max(1.0, self.slowness)
        return max(1.0, self.slowness / 2.0 ** ((now - since) // CLEAN))


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What a group of outcomes makes of a lane; `alarm` is new, `all_clear` ends the alarm that stood."""

    caution: Caution
    alarm: Alarm | None = None
    told_by: Outcome | None = None
    all_clear: bool = False


def matters(outcome: Outcome) -> bool:
    """True when the outcome speaks of the lane: an acceptance, or a reply that was no recipient's."""
    if outcome.verdict is Verdict.SENT:
        return True
    return outcome.code is not None and outcome.fault in (Fault.LANE, Fault.SENDER)


def after(caution: Caution, outcomes: Iterable[Outcome], now: datetime, *, trust: Trust) -> Change:
    """What becomes of a lane after these outcomes, in their order.

    A 421 hangs up on everything that was in flight on its connection: however many outcomes of the
    group say it, it was said once. A lane at rest is not slowed again.
    """
    change, hung_up = Change(caution=caution), set[str]()
    for outcome in outcomes:
        if not matters(outcome) or (outcome.code == HANGS_UP and outcome.text in hung_up):
            continue
        if outcome.code == HANGS_UP:
            hung_up.add(outcome.text)
        change = _after_one(change, outcome, now, trust)
    return change


def _after_one(change: Change, outcome: Outcome, now: datetime, trust: Trust) -> Change:
    caution = change.caution
    if outcome.verdict is Verdict.SENT:
        return _clean(change, now)
    if not caution.is_closed(now):
        caution = replace(caution, faults=min(caution.faults + 1, MAX_COUNT))
        change = replace(change, caution=caution)
    if outcome.verdict is Verdict.FAILED and outcome.reason is Reason.BLOCKED:
        believed = caution.faults >= trust.blocked
        return _close(change, outcome, Alarm.BLOCKED, FOREVER) if believed else change
    if asks_for_patience(outcome):
        needed = trust.closing if outcome.reason is Reason.CLOSING else trust.throttled
        return replace(change, caution=_slowed(caution, outcome, now)) if caution.faults >= needed else change
    if outcome.fault is Fault.SENDER and caution.faults >= BREAKER:
        return _close(change, outcome, Alarm.BREAKER, now + BREAKER_REST)
    if outcome.fault is Fault.LANE and caution.faults >= BREAKER:
        return replace(change, caution=_resting(caution, outcome, now))
    return change


def asks_for_patience(outcome: Outcome) -> bool:
    """421, throttling, and 4xx with a policy's enhanced code or words: slower, please."""
    if outcome.verdict is not Verdict.DEFERRED:
        return False
    if outcome.code == HANGS_UP or outcome.reason in (Reason.THROTTLED, Reason.BLOCKED):
        return True
    return outcome.fault is Fault.LANE and (outcome.enhanced or "").startswith("4.7.")


def _clean(change: Change, now: datetime) -> Change:
    """An acceptance ends the row of faults; after a breaker it also gives the lane its pace back."""
    caution = change.caution
    if caution.is_closed(now):  # it was in flight when the lane closed
        return change
    if caution.closed_why == Alarm.BREAKER.why:
        return Change(caution=Caution(), all_clear=True)
    return replace(change, caution=replace(caution, faults=0)) if caution.faults else change


def _close(change: Change, outcome: Outcome, alarm: Alarm, until: datetime) -> Change:
    caution = change.caution
    if caution.closed_until == FOREVER:
        return change
    closed = replace(
        caution,
        slowness=SLOWEST,  # so that a lane which opens again tries one mail and not a slice of them
        closed_until=max(until, caution.closed_until or until),
        closed_why=alarm.why,
    )
    return Change(caution=closed, alarm=alarm, told_by=outcome)


def _slowed(caution: Caution, outcome: Outcome, now: datetime) -> Caution:
    """Half as fast, after a rest that doubles too; a lane at rest only rests as long as it is asked."""
    if caution.is_closed(now):
        return _resting(caution, outcome, now)
    slowness = min(SLOWEST, caution.slowness_at(now) * 2)
    pause = PAUSE * (slowness / 2)
    if "unusual rate" in outcome.text.lower():
        slowness, pause = SLOWEST, PAUSE
    until = now + max(timedelta(seconds=outcome.retry_after or 0), pause)
    return Caution(slowness=slowness, closed_until=until, closed_why=Reason.THROTTLED.value)


def _resting(caution: Caution, outcome: Outcome, now: datetime) -> Caution:
    asked = timedelta(seconds=outcome.retry_after or 0)
    if caution.closed_until is not None and caution.closed_until > now:
        return replace(caution, closed_until=max(caution.closed_until, now + asked))
    return replace(
        caution,
        slowness=caution.slowness_at(now),
        closed_until=now + max(asked, PAUSE),
        closed_why=outcome.reason.value,
    )


def rested(caution: Caution, outcome: Outcome, now: datetime) -> Caution:
    """A relay that refused or failed before any letter rests for as long as it asks.

    One that said nothing at all asked for nothing: it is tried again soon, then less and less often.
    A rest that a person ordered is not touched.
    """
    asked = timedelta(seconds=outcome.retry_after or 0)
    if caution.is_closed(now) and caution.closed_until is not None:
        if outcome.code is None or caution.closed_why == STAFF:
            return caution
        until = max(caution.closed_until, now + asked)
    else:
        silent = SILENT_REST * 2 ** min(caution.faults, 10)
        until = now + (min(asked, silent) if outcome.code is None else asked)
    return Caution(
        slowness=caution.slowness_at(now),
        closed_until=until,
        closed_why=outcome.reason.value,
        faults=min(caution.faults + 1, MAX_COUNT),
    )


def reopened(caution: Caution, now: datetime) -> Caution:
    """A lane that took a mail again: no rest and no faults; how slow it is, time decides."""
    if caution.closed_why == Alarm.BREAKER.why:
        return Caution()
    return Caution(slowness=caution.slowness_at(now), closed_until=now)
