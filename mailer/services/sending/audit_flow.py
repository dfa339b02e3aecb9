"""Checks of the flow: whatever should move moves, and who should be alive is.

A lane or relay that rests, a spent allowance, a pause, a held embargo or the kill switch
explain standing still; each of them tells its own story elsewhere.
"""

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import exists, func, select

from mailer.db.embargoes import Embargo
from mailer.db.lanes import Lane
from mailer.db.mailings import BULK_RANK, WAITING, Claim, Delivery, Mailing
from mailer.db.outbox import CLAIMABLE
from mailer.db.staff import AuditEntry, Heartbeat
from mailer.services.sending.audit_look import Finding, Look
from mailer.services.sending.halt import sending_allowed
from mailer.services.sending.lanes import allowances
from mailer.services.sending.relay_lanes import relay_key, relay_open
from mailer.services.sending.sweep import journal_folder
from mailer.smtp.relay import MAX_CONNECTIONS, MAX_DEPTH, RelayError, parse_all
from mailer.vocabulary import DeliveryState, MailingState

OVERDUE = timedelta(minutes=15)
GRACE = timedelta(minutes=2)  # to get going after a rest, a pause or the kill switch
LET_GO = frozenset(
    {
        "sending-allowed",
        "mailing-resumed",
        "doubt-released",
        "lane-opened",
        "statement-approved",
        "embargo-move-refused",
        "embargo-drop-refused",
    }
)
ENTRIES = 50  # of the audit log, the newest, in which the words above are looked for
LAPSED = timedelta(minutes=15)  # longer than any server may think about a final dot
STUCK = timedelta(minutes=10)
BREAKDOWN = timedelta(minutes=10)  # in which doubt is taken for that of one breakdown
SILENT, FORGOTTEN = timedelta(minutes=3), timedelta(days=1)  # a process gone for a day was taken away


def what_is_due_leaves(look: Look) -> Iterator[Finding]:
    """Something has been due for a while, may leave, and nothing or nothing urgent was claimed since."""
    if not sending_allowed(look.session) or _let_go_just_now(look) or _all_relays_rest(look):
        return
    urgent = _oldest_due(look, bulk=False)
    anything = urgent or (None if _claimed_lately(look) else _oldest_due(look, bulk=True))
    if anything is not None:
        key, since = anything
        yield Finding(
            key="overdue:urgent" if urgent else "overdue:bulk",
            words=f"Mails of {key} have been due since {since} UTC, and nothing holds them back. See that a "
            "send worker lives: mailer health worker-send. Its log and `mailer lane list` tell the rest.",
        )


def _oldest_due(look: Look, *, bulk: bool) -> tuple[str, str] | None:
    """A mailing with deliveries long due in lanes that take mail, and since when. The due index answers."""
    cutoff = look.now - OVERDUE
    moments = (look.now, look.now - GRACE)
    shut = frozenset[int]().union(*(allowances(look.session, at).shut(bulk) for at in moments))
    due = (
        select(Delivery.due_at)
        .where(
            Delivery.mailing_id == Mailing.id,
            Delivery.lane_id == Lane.id,
            Delivery.state.in_(WAITING),
            Delivery.due_at <= cutoff,
        )
        .order_by(Delivery.due_at)
        .limit(1)
        .correlate(Mailing, Lane)
        .scalar_subquery()
    )
    statement = (
        select(Mailing.key, due)
        .join(Lane, Lane.id.not_in(shut))
        .where(
            Mailing.state.in_(CLAIMABLE),
            Mailing.opens_at <= cutoff,
            Mailing.rank >= BULK_RANK if bulk else Mailing.rank < BULK_RANK,
            due.is_not(None),
            ~exists().where(Embargo.statement_id == Mailing.statement_id, Embargo.held.is_not(None)),
        )
        .order_by(due)
        .limit(1)
    )
    found = look.session.execute(statement).first()
    return None if found is None else (found[0], f"{found[1]:%Y-%m-%d %H:%M}")


def _let_go_just_now(look: Look) -> bool:
    """True when staff have just let something go on: it may have been due for long."""
    newest = look.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(ENTRIES))
    return any(one.action in LET_GO and one.at > look.now - GRACE for one in newest)


def _claimed_lately(look: Look) -> bool:
    newest = look.session.scalars(select(Claim.claimed_at).order_by(Claim.id.desc()).limit(1)).first()
    return newest is not None and newest > look.now - OVERDUE


def _all_relays_rest(look: Look) -> bool:
    """True when every relay is resting, which is an incident of its own."""
    try:
        relays = parse_all(look.house.settings.smtp_url)
    except RelayError:
        return False
    keys = [relay_key(one.host, one.port) for one in relays]
    return bool(keys) and not any(relay_open(look.session, key, look.now - GRACE) for key in keys)


def what_lapsed_is_recovered(look: Look) -> Iterator[Finding]:
    """A claim whose lease is long over was settled by its worker or by the sweep."""
    held = exists().where(Delivery.fence == Claim.id, Delivery.state == DeliveryState.CLAIMED)
    rows = look.session.execute(
        select(Claim.worker, func.count(), func.min(Claim.leased_until))
        .where(Claim.released_at.is_(None), Claim.leased_until < look.now - LAPSED, held)
        .group_by(Claim.worker)
    )
    for worker, count, since in rows:
        yield Finding(
            key=f"lease:{worker}",
            words=f"Worker {worker} has held {count:,} slices since before {since:%Y-%m-%d %H:%M} UTC and "
            "gives no account of them. If it hangs, end its process: its journal then tells what it sent.",
        )


def what_is_announced_is_expanded(look: Look) -> Iterator[Finding]:
    """A mailing gets its recipients, and opens when it is due."""
    waiting = select(Mailing).where(
        ((Mailing.state == MailingState.EXPANDING) & (Mailing.created_at < look.now - STUCK))
        | ((Mailing.state == MailingState.SCHEDULED) & (Mailing.due_at < look.now - STUCK))
    )
    for mailing in look.session.scalars(waiting.order_by(Mailing.id).limit(100)):
        yield Finding(
            key=f"stuck:{mailing.id}",
            words=f"{mailing.key} is {mailing.state.value} for more than ten minutes; its recipients wait. "
            "See that the workers for planning and sweeping live: mailer health worker-plan, mailer health "
            "beat.",
        )


def doubt_is_small(look: Look) -> Iterator[Finding]:
    """One breakdown of a worker leaves at most what its connections had in flight in doubt."""
    bound = _in_flight_at_most(look)
    rows = look.session.execute(
        select(Claim.worker, func.count())
        .join(Delivery, Delivery.fence == Claim.id)
        .where(Delivery.state == DeliveryState.IN_DOUBT, Delivery.settled_at > look.now - BREAKDOWN)
        .group_by(Claim.worker)
        .having(func.count() > bound)
    )
    for worker, count in rows:
        yield Finding(
            key=f"doubt:{worker}",
            words=f"{count:,} deliveries of worker {worker} came into doubt within ten minutes; one "
            f"breakdown explains at most {bound:,}. Its machine or its journal was lost, or the relay "
            "breaks again and again. Look at the relay, then settle them: mailer mailing settle-doubt",
        )


def _in_flight_at_most(look: Look) -> int:
    try:
        relays = parse_all(look.house.settings.smtp_url)
    except RelayError:
        return MAX_CONNECTIONS * MAX_DEPTH
    return sum(max(one.connections, look.house.settings.smtp_connections) * one.depth for one in relays)


def journals_can_be_read(look: Look) -> Iterator[Finding]:
    """No journal on this machine had to be set aside."""
    bad = sorted(path.name for path in journal_folder(look.house).glob("*.bad"))
    if bad:
        yield Finding(
            key="journal:unreadable",
            words=f"{len(bad):,} journals in {journal_folder(look.house)} cannot be read, the first is "
            f"{bad[0]}. What their workers had on the wire is in doubt: mailer mailing settle-doubt. Check "
            "the disk, then delete these files.",
        )


def processes_live(look: Look) -> Iterator[Finding]:
    """Whoever gave signs of life goes on giving them."""
    silent = select(Heartbeat).where(Heartbeat.at < look.now - SILENT, Heartbeat.at > look.now - FORGOTTEN)
    for one in look.session.scalars(silent.order_by(Heartbeat.name)):
        yield Finding(
            key=f"silent:{one.name}",
            words=f"{one.name} has given no sign of life since {one.at:%Y-%m-%d %H:%M} UTC. Look at its log "
            "and restart it; if it was taken away on purpose, this ends by itself after a day.",
        )
