"""Sweep: find whatever a lost hint, a dead worker or a restart has left behind.

It is the only recovery there is, and it uses the same corridor: what is announced
and not expanded is expanded, what a dead worker held is settled from its journal,
what is due is hinted at again.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer import wake
from mailer.db import outbox
from mailer.db.dialect import is_postgresql
from mailer.db.mailings import Claim, Delivery, Mailing
from mailer.services.house import House
from mailer.services.sending.closing import finish, retry_doubtful
from mailer.services.sending.embargo_watch import watch
from mailer.services.sending.expand import expand_mailing
from mailer.services.sending.gate import OPEN_BY_NOW, EmbargoGate
from mailer.services.sending.settle import GIVEN_BACK, Result, settle
from mailer.services.sending.split import split_announced
from mailer.services.sending.told import told_once
from mailer.smtp import journal
from mailer.smtp.journal_read import SUFFIX
from mailer.smtp.outcome import Fault, Outcome, Reason, Verdict, decided_here
from mailer.vocabulary import MailingState
from mailer.wake import Task

log = structlog.get_logger()

LATE_AFTER = timedelta(seconds=5)  # beyond the lease: clocks of machines differ, and a dot takes a moment
LOST_AFTER = timedelta(minutes=10)  # beyond the lease: a machine that was only cut off is back by then
_IN_DOUBT = decided_here(Verdict.IN_DOUBT, Fault.NONE, Reason.LOST)


@dataclass(frozen=True)
class Swept:
    """What one sweep found."""

    expanded: int
    recovered: int
    retried: int
    due: bool


def sweep(house: House, now: datetime, gate: EmbargoGate = OPEN_BY_NOW) -> Swept:
    """Look at everything once and set it going again; safe at any moment, in any number of processes."""
    recovered = recover(house, now)
    split_announced(house, now)
    expanded = _expand_waiting(house, now) + watch(house, now, gate)
    with house.database.write() as session:
        retried = retry_doubtful(session, now)
        finish(session, now)
    with house.database.read() as session:
        # A worker that could not write what it knows is asked again, whether or not there is more to send.
        due = outbox.has_due(session, now) or outbox.has_open_claims(session)
    if due:
        wake.hint(Task.SEND_DUE)
    return Swept(expanded, recovered, retried, due)


def _expand_waiting(house: House, now: datetime) -> int:
    with house.database.read() as session:
        waiting = session.scalars(
            select(Mailing.id).where(Mailing.state == MailingState.EXPANDING).order_by(Mailing.rank)
        ).all()
    added = 0
    for mailing_id in waiting:
        with house.database.write() as session:
            added += expand_mailing(session, mailing_id, now)
    return added


def recover(house: House, now: datetime) -> int:
    """Settle what nobody holds any more, from the journals on this machine, else as in doubt.

    A dead worker's journal (its lock is free) decides at once. A living worker that is late beyond its
    lease sends nothing more under it - it looks at the lease after each record and before the dot - so
    its journal decides too. Of a worker whose journal is not here nothing is known: its machine may
    still come back, and when it does not, what it held is in doubt.
    """
    folder = journal_folder(house)
    dead = _read_all(journal.dead_journals(folder))
    journals = {contents.worker: contents for contents in dead.values()}
    with house.database.write() as session:
        claims = _orphaned(session, journals, now)
        if is_postgresql(session):  # SQLite's clock is this machine's, and a step of it ends no lease
            late = {claim.worker for claim in claims} - journals.keys()
            journals |= {contents.worker: contents for contents in _read_late(folder, late).values()}
        held = sum(
            _recover_claim(session, claim, journals.get(claim.worker), now)
            for claim in claims
            if claim.worker in journals or _is_lost(folder, claim, now)
        )
        for contents in dead.values():
            _settle_late_replies(session, contents, now)
    for path in dead:
        journal.discard(path)
    return held


def _settle_late_replies(session: Session, contents: journal.JournalContents, now: datetime) -> None:
    """Replies that a worker read when its lease had passed on: they still settle the doubt they left."""
    replies = {number: record for number, record in contents.records.items() if record.reply is not None}
    if not replies:
        return
    rows = outbox.in_doubt(session, replies)
    results = [
        _result(session, delivery, mailing, replies[delivery.id].fence, contents)
        for delivery, mailing in rows
        if delivery.fence == replies[delivery.id].fence
    ]
    settle(session, results, now)


def _read_late(folder: Path, workers: set[str]) -> dict[Path, journal.JournalContents]:
    """The journals of living workers of these names, as they are now."""
    return _read_all(path for path in folder.glob(f"*{SUFFIX}") if any(one in path.name for one in workers))


def _is_lost(folder: Path, claim: Claim, now: datetime) -> bool:
    """True when nobody will ever tell what became of this claim: its machine has been silent for long, or
    its journal is damaged. A worker that lives here settles itself when it goes on."""
    if any(claim.worker in path.name for path in folder.glob(f"*{SUFFIX}")):
        return False
    if any(claim.worker in path.name for path in folder.glob("*.bad")):
        return True
    return now - claim.leased_until > LOST_AFTER


def _read_all(paths: Iterable[Path]) -> dict[Path, journal.JournalContents]:
    """What can be read. A journal that cannot is set aside: its worker's leases lapse into doubt."""
    contents: dict[Path, journal.JournalContents] = {}
    for path in paths:
        try:
            contents[path] = journal.read(path)
        except FileNotFoundError:  # another sweep was first
            continue
        except OSError as problem:
            if path.exists():
                path.replace(path.with_suffix(".bad"))
                log.error("journal-unreadable", kind=type(problem).__name__)
    return contents


def journal_folder(house: House) -> Path:
    """Where the workers of this machine keep their journals."""
    return house.settings.data / "journals"


def worker_name(role: str) -> str:
    """The name a worker claims under and its journal carries: unique on this machine and after a restart."""
    return f"{role}-{os.uname().nodename[:24]}-{os.getpid()}-{os.urandom(3).hex()}"


def _orphaned(session: Session, by_worker: Mapping[str, object], now: datetime) -> list[Claim]:
    lapsed = {claim.id: claim for claim in outbox.lapsed_claims(session, now - LATE_AFTER)}
    of_the_dead = session.scalars(
        select(Claim).where(Claim.released_at.is_(None), Claim.worker.in_(list(by_worker)))
    )
    return list((lapsed | {claim.id: claim for claim in of_the_dead}).values())


def _recover_claim(
    session: Session, claim: Claim, contents: journal.JournalContents | None, now: datetime
) -> int:
    held = outbox.held_by(session, claim.id)
    settle(
        session, [_result(session, delivery, mailing, claim.id, contents) for delivery, mailing in held], now
    )
    claim.released_at = now
    return len(held)


def _result(
    session: Session,
    delivery: Delivery,
    mailing: Mailing,
    fence: int,
    contents: journal.JournalContents | None,
) -> Result:
    return Result(
        delivery.id,
        fence,
        delivery.lane_id,
        max(delivery.attempts - 1, 0),
        delivery.not_after,
        delivery.registration_id,
        told_once(session, mailing, fence),
        _outcome_of(delivery, contents),
    )


def _outcome_of(delivery: Delivery, contents: journal.JournalContents | None) -> Outcome:
    """What the journal knows: a reply decides, a dot without a reply is in doubt, neither is tried again."""
    if contents is None:
        return _IN_DOUBT
    record = contents.records.get(delivery.id)
    if record is None or record.fence != delivery.fence:
        tail_may_miss = contents.damaged > 0 or contents.boot_id != journal.current_boot_id()
        return _IN_DOUBT if tail_may_miss else GIVEN_BACK
    if record.reply is not None:
        return record.reply
    return _IN_DOUBT if record.dot else GIVEN_BACK
