"""Settle: what an outcome means for its delivery, and the small transactions that write it down."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.orm import Session

from mailer.db import settlement
from mailer.db.mailings import Attempt
from mailer.db.settlement import Settlement
from mailer.services.sending import lanes
from mailer.services.sending.told import Heard, remember
from mailer.smtp.outcome import Fault, Outcome, Reason, Verdict, decided_here
from mailer.vocabulary import DeliveryState

LADDER_MINUTES = (5, 15, 30, 60, 120, 240)
JITTER = 0.2
DOUBT_PAUSE = timedelta(minutes=15)  # before a doubtful delivery of policy `retry` is tried again
RELAY_PAUSE = timedelta(seconds=5)  # the relay's fault costs a recipient nothing but this

STATE_OF = {
    Verdict.SENT: DeliveryState.SENT,
    Verdict.DEFERRED: DeliveryState.DEFERRED,
    Verdict.FAILED: DeliveryState.FAILED,
    Verdict.IN_DOUBT: DeliveryState.IN_DOUBT,
}

# Claimed and not offered to any server, so it may simply be claimed again.
GIVEN_BACK = decided_here(Verdict.DEFERRED, Fault.NONE, Reason.STOPPED, retry_after=0.0)
UNFIT = decided_here(Verdict.FAILED, Fault.SENDER, Reason.RENDER)  # the mail could not be composed


class Result(NamedTuple):
    """What became of one claimed delivery, and what of its row decides what follows.

    `attempts` counts the tries before this one; `told` is what the mail makes an attendee know.
    """

    id: int
    fence: int
    lane_id: int
    attempts: int
    not_after: datetime
    registration_id: int | None
    told: Heard | None
    outcome: Outcome


def settle(
    session: Session,
    results: Sequence[Result],
    now: datetime,
    *,
    spoken: Iterable[tuple[int, Outcome]] | None = None,
) -> None:
    """Write a group of outcomes; each counts only while its fence still holds the delivery.

    `spoken`: the outcomes with the lanes whose servers gave them, where those are not the receiving sites'.
    """
    accepted: defaultdict[int, list[int]] = defaultdict(list)
    others: list[Result] = []
    for result in results:
        if result.outcome.verdict is Verdict.SENT:
            accepted[result.fence].append(result.id)
        else:
            others.append(result)
    for fence, ids in sorted(accepted.items()):
        settlement.settle_sent(session, fence, ids, now)
    relayed = spoken is not None
    settlement.settle_others(session, [_settlement(result, now, relayed=relayed) for result in others])
    settlement.record_attempts(session, [_attempt(result, now) for result in others])
    if spoken is None:
        spoken = [(result.lane_id, result.outcome) for result in results]
    lanes.react(session, spoken, now)
    back = Counter(result.lane_id for result in others if was_not_offered(result.outcome))
    lanes.give_back(session, now, back)
    _remember_what_was_told(session, results, now)


def _settlement(result: Result, now: datetime, *, relayed: bool) -> Settlement:
    outcome = result.outcome
    charged = not was_not_offered(outcome)
    return Settlement(
        id=result.id,
        fence=result.fence,
        attempts_back=0 if charged else 1,
        state=STATE_OF[outcome.verdict],
        reason=outcome.reason.value,
        due_at=_next_try(result, now, relayed=relayed),
        settled_at=None if outcome.verdict is Verdict.DEFERRED else now,
    )


def was_not_offered(outcome: Outcome) -> bool:
    """True when no server was asked about this recipient."""
    return outcome.fault is Fault.RELAY or outcome.reason is Reason.STOPPED


def _next_try(result: Result, now: datetime, *, relayed: bool) -> datetime | None:
    """When the row is looked at again: never later than its end of life, which then is written down."""
    outcome = result.outcome
    if outcome.verdict is Verdict.IN_DOUBT:
        return now + DOUBT_PAUSE
    if outcome.verdict is not Verdict.DEFERRED:
        return None
    asked = timedelta(seconds=outcome.retry_after or 0)
    if outcome.reason is Reason.STOPPED:
        return now
    if outcome.fault is Fault.RELAY:  # how long a relay rests stands with its lane, which opens when it can
        pause = RELAY_PAUSE if relayed else max(RELAY_PAUSE, asked)
        return min(now + pause, result.not_after)
    step = LADDER_MINUTES[min(result.attempts, len(LADDER_MINUTES) - 1)]
    # The same delivery jitters the same way at every look; neighbours spread.
    chance = random.Random(f"{result.id}:{result.attempts}").uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    return min(now + max(timedelta(minutes=step * chance), asked), result.not_after)


def _attempt(result: Result, now: datetime) -> Attempt:
    outcome = result.outcome
    return Attempt(
        delivery_id=result.id,
        fence=result.fence,
        at=now,
        verdict=outcome.verdict.value,
        fault=outcome.fault.value,
        phase=outcome.phase.value,
        code=outcome.code,
        enhanced=outcome.enhanced,
        reason=outcome.reason.value,
        reply=outcome.text,
    )


def _remember_what_was_told(session: Session, results: Sequence[Result], now: datetime) -> None:
    of_attendees = [one for one in results if one.told is not None and one.registration_id is not None]
    if not of_attendees:
        return
    by_verdict: defaultdict[Verdict, list[tuple[int, Heard]]] = defaultdict(list)
    for one in of_attendees:
        assert one.registration_id is not None
        assert one.told is not None
        by_verdict[one.outcome.verdict].append((one.registration_id, one.told))
    remember(session, by_verdict[Verdict.SENT], by_verdict[Verdict.IN_DOUBT], now)
