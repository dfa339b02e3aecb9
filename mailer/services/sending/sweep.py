"""Sweep: find whatever a lost hint, a dead worker or a restart has left behind.

It is the only recovery there is, and it uses the same corridor: what is announced
and not expanded is expanded, what a dead worker held is settled from its journal,
what is due is hinted at again.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer import wake
from mailer.db import outbox
from mailer.db.mailings import Claim, Delivery, Mailing
from mailer.db.outbox import Candidate
from mailer.services.house import House
from mailer.services.sending.expand import expand_mailing
from mailer.services.sending.settle import GIVEN_BACK, finish, retry_doubtful, settle
from mailer.smtp import journal
from mailer.smtp.outcome import Fault, Outcome, Reason, Verdict, decided_here
from mailer.vocabulary import MailingState
from mailer.wake import Task

log = structlog.get_logger()

_IN_DOUBT = decided_here(Verdict.IN_DOUBT, Fault.NONE, Reason.LOST)


@dataclass(frozen=True)
class Swept:
    """What one sweep found."""

    expanded: int
    recovered: int
    retried: int
    due: bool


def sweep(house: House, now: datetime) -> Swept:
    """Look at everything once and set it going again; safe at any moment, in any number of processes."""
    expanded = _expand_waiting(house, now)
    recovered = recover(house, now)
    with house.database.write() as session:
        retried = retry_doubtful(session, now)
        finish(session, now)
    with house.database.read() as session:
        due = outbox.has_due(session, now)
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
    """Settle what dead workers held: from their journals on this machine, else as in doubt.

    A worker whose journal is still locked is alive, however late; its deliveries stay its own.
    """
    folder = journal_folder(house)
    dead = _read_all(journal.dead_journals(folder))
    by_worker = {contents.worker: contents for contents in dead.values()}
    living = {path.name for path in folder.glob("*") if path not in dead}
    with house.database.write() as session:
        claims = _orphaned(session, by_worker, now)
        held = sum(_recover_claim(session, claim, by_worker, living, now) for claim in claims)
    for path in dead:
        journal.discard(path)
    return held


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
    lapsed = {claim.id: claim for claim in outbox.lapsed_claims(session, now)}
    of_the_dead = session.scalars(
        select(Claim).where(Claim.released_at.is_(None), Claim.worker.in_(list(by_worker)))
    )
    return list((lapsed | {claim.id: claim for claim in of_the_dead}).values())


def _recover_claim(
    session: Session,
    claim: Claim,
    by_worker: Mapping[str, journal.JournalContents],
    living: set[str],
    now: datetime,
) -> int:
    contents = by_worker.get(claim.worker)
    if contents is None and any(claim.worker in name for name in living):
        return 0
    held = outbox.held_by(session, claim.id)
    outcomes = [
        (_candidate(delivery, mailing), claim.id, _outcome_of(delivery, contents))
        for delivery, mailing in held
    ]
    settle(session, outcomes, now)
    claim.released_at = now
    return len(held)


def _candidate(delivery: Delivery, mailing: Mailing) -> Candidate:
    return Candidate(
        delivery=delivery,
        mailing=mailing,
        subscriber=None,
        subscription=None,
        registration=None,
        symposium=None,
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
