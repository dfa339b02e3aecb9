"""Claim: lease a slice of due deliveries, after asking once more whether each may leave.

The questions (is the consent still there, is the symposium still on, is it not too
late) are asked under the rows' locks and in the transaction that takes the lease. What
is urgent comes first; mailings of one rank take turns; a lane gives no more than it has.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy.orm import Session

from mailer import failpoints
from mailer.db import follow_ups, outbox, texts
from mailer.db.audience import ASKING, STATES_OF
from mailer.db.outbox import Candidate, Surroundings
from mailer.failpoints import Failpoint
from mailer.services.house import House
from mailer.services.sending import digest_claim, rooms
from mailer.services.sending.attendees import (
    CONFIRMING,
    followed_up,
    is_past,
    on_the_way,
    reason_for_rule,
    rules_of,
)
from mailer.services.sending.follow_ups import is_being_told
from mailer.services.sending.gate import OPEN_BY_NOW, Gate
from mailer.services.sending.halt import sending_allowed
from mailer.services.sending.lanes import Allowances, lock_and_allow, spend
from mailer.services.sending.outlook import recording_answers
from mailer.services.sending.texts import Text, Texts, sort_by_text
from mailer.services.sending.traits import BY_RULE, NOTICES
from mailer.vocabulary import (
    LIFTABLE,
    DeliveryState,
    MailingKind,
    RegistrationState,
    SkipReason,
    SubscriptionState,
    SymposiumState,
)

TO_ATTENDEES = frozenset(STATES_OF)
# Why an attendee whose registration stands elsewhere is left out.
REASON_OF = {
    RegistrationState.PENDING: SkipReason.UNCONFIRMED,
    RegistrationState.CONFIRMED: SkipReason.NOTHING_CHANGED,
    RegistrationState.WAITING: SkipReason.WAITING,
    RegistrationState.WITHDRAWN: SkipReason.WITHDRAWN,
}
CALLED_OFF = frozenset(
    {
        SkipReason.SYMPOSIUM_CANCELLED,
        SkipReason.MAILING_CANCELLED,
        SkipReason.DATE_MOVED,
        SkipReason.RULE_REMOVED,
        SkipReason.RETRACTED,
        SkipReason.WITHDRAWN,
    }
)
A_MOMENT = timedelta(minutes=1)  # until a notice is looked at again whose reader has another mail on its way


@dataclass(frozen=True)
class Slice:
    """What one claim holds: plain values read in its transaction, and the fence they are held under."""

    fence: int = 0
    held: tuple[Candidate, ...] = ()
    around: Surroundings = field(default_factory=Surroundings)
    left_out: int = 0
    texts: Texts = field(default_factory=Texts)

    @property
    def worked(self) -> bool:
        """True when the claim found something, so that it is worth asking again."""
        return bool(self.held) or self.left_out > 0


def claim(
    session: Session,
    house: House,
    *,
    worker: str,
    now: datetime,
    limit: int | None = None,
    relays: Sequence[int] = (),
    busy: Container[int] = (),
    gate: Gate = OPEN_BY_NOW,
) -> Slice:
    """Lease the next slice for this worker, settling on the way what must not leave.

    `relays` are the lanes of the relays it would leave by: together they must have room for it. `busy` are
    deliveries that this worker still has in hand under an older fence, which was taken from it while it
    stood still: they are for others, or for later. `gate` lets through what is under no embargo any more.
    """
    if not sending_allowed(session):
        return Slice()
    left = _Left(lock_and_allow(session, now), relays, busy, limit or house.settings.slice_size)
    found = _find(session, left, gate, now)
    if not found:
        return Slice()
    around = digest_claim.with_statements(session, found, outbox.surroundings(session, found), now)
    if around.registrations:
        followed = followed_up(found, around)
        follow_ups.hold(session, followed)
        around = replace(
            around,
            on_the_way=on_the_way(session, found, around),
            follow_ups=follow_ups.had(session, followed),
            ended_rules=outbox.ended_rules(session, rules_of(around)),
        )
    held, later, out = _asked_once_more(found, around, now)
    if around.digests is not None:
        held = digest_claim.leave_out_empty(session, held, out, around.digests)
    sorting = sort_by_text(session, held, around)
    texts.hold(session, sorting.refused.get(SkipReason.AWAITING_TRANSLATION, ()))
    for reason in sorting.refused.keys() - {SkipReason.AWAITING_TRANSLATION}:
        out[(_state_for(reason), reason)] += sorting.refused[reason]
    for (state, reason), ids in out.items():
        outbox.leave_out(session, ids, state, reason.value, now)
    outbox.postpone(session, later, now + A_MOMENT)
    held = list(sorting.leaving)
    fence = _take(session, house, sorting.ids_of, worker=worker, now=now)
    spend(session, now, left.spent(held))
    if failpoints.armed:
        failpoints.reach(Failpoint.IN_CLAIM)
    return Slice(fence, tuple(held), around, len(found) - len(held), sorting.texts)


LeftOut = defaultdict[tuple[DeliveryState, SkipReason], list[int]]


def _asked_once_more(
    found: Sequence[Candidate], around: Surroundings, now: datetime
) -> tuple[list[Candidate], list[int], LeftOut]:
    """Which of them may leave, which are looked at again in a moment, and which must not leave at all."""
    held: list[Candidate] = []
    later: list[int] = []
    out: LeftOut = defaultdict(list)
    followed: set[int] = set()  # by a mail after the end in this very slice
    for candidate in found:
        reason = reason_to_leave_out(candidate, around, now)
        if reason is not None:
            out[(_state_for(reason), reason)].append(candidate.id)
        elif around.registrations and _must_wait(candidate, around, followed, now):
            later.append(candidate.id)
        else:
            held.append(candidate)
    return held, later, out


def _find(session: Session, left: "_Left", gate: Gate, now: datetime) -> list[Candidate]:
    found: list[Candidate] = []
    if wanted := left.wanted(found, bulk=False):
        found += left.of_those(outbox.urgent(session, now=now, limit=wanted, closed=left.closed), bulk=False)
    if not left.wanted(found, bulk=True):
        return found
    lanes = outbox.lane_ids(session)
    due = gate.passing(session, outbox.bulk_mailings(session, now), now)
    for _, rank in groupby(due, key=lambda one: one[0]):
        wanted = left.wanted(found, bulk=True)
        if not wanted:
            break
        found += _by_turns(session, [mailing for _, mailing, _ in rank], lanes, left, now, wanted)
    return found


def _by_turns(
    session: Session,
    mailings: Sequence[int],
    lane_ids: Sequence[int],
    left: "_Left",
    now: datetime,
    limit: int,
) -> list[Candidate]:
    """Mailings of one rank share what is left: each its part, and what one does not use goes to the next."""
    found: list[Candidate] = []
    for place, mailing in enumerate(mailings):
        share = -(-(limit - len(found)) // (len(mailings) - place))
        taken = 0
        for lane in lane_ids:
            room = left.room(lane, share - taken)
            if room:
                some = left.of_those(
                    outbox.of_mailing(session, mailing, lane, now=now, limit=room), bulk=True
                )
                found += some
                taken += len(some)
            if taken >= share:
                break
    return found


class _Left:
    """What the lanes, and the relays together, still give in this claim."""

    def __init__(self, lanes: Allowances, relays: Sequence[int], busy: Container[int], limit: int) -> None:
        self.closed = lanes.closed_lanes | lanes.shut(bulk=False)
        self._lanes = lanes
        self._relays = relays
        self._busy = busy
        self._limit = limit
        self._taken: Counter[int] = Counter()

    def wanted(self, found: Sequence[Candidate], *, bulk: bool) -> int:
        """How many more this claim may hold."""
        rooms = [self._lanes.of(relay, bulk) for relay in self._relays]
        together = [room for room in rooms if room is not None]
        limit = min(self._limit, sum(together)) if rooms and len(together) == len(rooms) else self._limit
        return max(0, limit - len(found))

    def room(self, lane: int, wanted: int) -> int:
        """How many bulk mails of this lane may be claimed, at most as many as wanted."""
        allowed = self._lanes.of(lane, True)
        return wanted if allowed is None else max(0, min(wanted, allowed - self._taken[lane]))

    def of_those(self, candidates: Sequence[Candidate], *, bulk: bool) -> list[Candidate]:
        """The candidates for which their lanes have room."""
        return list(self._fitting(candidates, bulk))

    def spent(self, held: Sequence[Candidate]) -> Counter[int]:
        """What this slice takes, by lane; relays are used up one after another."""
        counts = Counter(candidate.lane_id for candidate in held)
        rest = len(held)
        for relay in self._relays:
            allowed = self._lanes.of(relay, False)
            part = rest if allowed is None else min(rest, allowed)
            counts[relay] += part
            rest -= part
        return counts

    def _fitting(self, candidates: Sequence[Candidate], bulk: bool) -> Iterator[Candidate]:
        limited = self._lanes.limited_lanes
        for candidate in candidates:
            lane = candidate.lane_id
            if candidate.id in self._busy:
                continue
            if lane in limited:
                allowed = self._lanes.of(lane, bulk)
                if allowed is not None and self._taken[lane] >= allowed:
                    continue
            self._taken[lane] += 1
            yield candidate


def _take(
    session: Session, house: House, ids_of: Mapping[Text | None, list[int]], *, worker: str, now: datetime
) -> int:
    """Lease them all under one fence, each group with the text that its readers get."""
    if not any(ids_of.values()):
        return 0
    leased_until = now + timedelta(seconds=house.settings.lease_seconds)
    fence = outbox.open_claim(session, worker=worker, now=now, leased_until=leased_until)
    for text, ids in ids_of.items():
        version, language = (text.version, text.language) if text else (None, None)
        outbox.take(session, ids, fence, version=version, language=language)
    return fence


def _state_for(reason: SkipReason) -> DeliveryState:
    if reason is SkipReason.TOO_LATE:
        return DeliveryState.EXPIRED
    if reason in CALLED_OFF:
        return DeliveryState.CANCELLED
    return DeliveryState.SKIPPED


def reason_to_leave_out(candidate: Candidate, around: Surroundings, now: datetime) -> SkipReason | None:
    """Why this delivery must not leave now, or None when it may. The first reason that holds is told."""
    kind = around.mailings[candidate.mailing_id].kind
    if candidate.address is None:
        return SkipReason.ERASED
    if candidate.suppressed is not None and not (kind in ASKING and candidate.suppressed in LIFTABLE):
        return SkipReason.SUPPRESSED
    if now >= candidate.not_after:
        return SkipReason.TOO_LATE
    if kind in TO_ATTENDEES:
        return _reason_for_attendee(candidate, around, now)
    return _reason_for_subscriber(candidate, asks=kind is MailingKind.OPT_IN)


def _must_wait(candidate: Candidate, around: Surroundings, followed: set[int], now: datetime) -> bool:
    """True for a notice to somebody whose confirmation is on its way: it tells the same, or what this one
    then has to correct. For a follow-up whose recording has not answered yet, or whose reader has another
    one under way. And for a reminder that is to lead into a room nobody has named."""
    mailing = around.mailings[candidate.mailing_id]
    if mailing.kind is MailingKind.FOLLOW_UP:
        reader = candidate.registration_id or 0
        if reader in followed or is_being_told(mailing, around.follow_ups.get(reader, ())):
            return True
        if not recording_answers(around.symposia[mailing.symposium_id or 0], now):
            return True
        followed.add(reader)
        return False
    if mailing.kind is MailingKind.REMINDER:
        return rooms.must_wait(mailing, around.symposia[mailing.symposium_id or 0], candidate.not_after, now)
    if mailing.kind not in NOTICES:
        return False
    return not CONFIRMING.isdisjoint(around.on_the_way.get(candidate.registration_id or 0, ()))


def _reason_for_subscriber(candidate: Candidate, *, asks: bool) -> SkipReason | None:
    state = candidate.subscription_state
    if state is None or state is SubscriptionState.UNSUBSCRIBED:
        return SkipReason.UNSUBSCRIBED
    if state is SubscriptionState.PENDING and not asks:
        return SkipReason.UNCONFIRMED
    if state is SubscriptionState.CONFIRMED and asks:
        return SkipReason.NOTHING_CHANGED
    return None


def _reason_for_attendee(candidate: Candidate, around: Surroundings, now: datetime) -> SkipReason | None:
    mailing = around.mailings[candidate.mailing_id]
    registration = around.registrations.get(candidate.registration_id or 0)
    symposium = around.symposia.get(mailing.symposium_id or 0)
    if registration is None or symposium is None:
        return SkipReason.WITHDRAWN
    if registration.state not in STATES_OF[mailing.kind]:
        return REASON_OF[registration.state]
    if mailing.kind is MailingKind.WITHDRAWAL:
        return None
    if mailing.kind is MailingKind.CANCELLATION:
        return None if symposium.state is SymposiumState.CANCELLED else SkipReason.NOTHING_CHANGED
    if symposium.state is not SymposiumState.ANNOUNCED:
        return SkipReason.SYMPOSIUM_CANCELLED
    if symposium.questions:
        return SkipReason.DATE_UNCONFIRMED
    if is_past(mailing.kind, symposium, now):
        return SkipReason.TOO_LATE
    if mailing.kind in NOTICES and registration.told_version == symposium.facts_version:
        return SkipReason.NOTHING_CHANGED
    if mailing.kind in BY_RULE:
        return reason_for_rule(candidate, around, registration, symposium, now)
    return None
