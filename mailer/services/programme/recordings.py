"""Recordings: a follow-up leaves only while the recording it speaks of answers.

The address is asked around the follow-up's time, with no transaction open. One that does not
answer holds the follow-up: staff are told how to go on, and it is asked again, ever more
rarely, for two weeks. A person may vouch for one that does not answer to programs.
"""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from mailer.db.mailings import WAITING, Delivery, Mailing
from mailer.db.outbox import CLAIMABLE
from mailer.db.programme import Symposium
from mailer.ingest.errors import FetchError
from mailer.ingest.fetch import Limits, Resolve
from mailer.ingest.reachable import QUICK, answers
from mailer.services.house import House
from mailer.services.incidents import close_incident, raise_incident
from mailer.services.programme import reminders
from mailer.services.programme.symposia import lock
from mailer.services.sending.outlook import RECORDING_FRESH
from mailer.vocabulary import MailingKind, SymposiumState

log = structlog.get_logger()

AHEAD = timedelta(minutes=1)  # asked so long before the follow-up is due
LEASE = timedelta(minutes=2)  # nobody else asks meanwhile
SOONEST, LATEST = timedelta(minutes=15), timedelta(hours=6)  # between two questions to one that is silent
PATIENCE = timedelta(days=14)
MOST_AT_ONCE = 5  # each may take ten seconds, and the queue serves other things too
LONGEST = 300


def ask_due(house: House, now: datetime, *, limits: Limits = QUICK, resolve: Resolve | None = None) -> int:
    """Ask for the recordings of follow-ups that are due, each once; returns how many were asked for."""
    asked = 0
    while asked < MOST_AT_ONCE and (taken := _take(house, now)) is not None:
        number, url = taken
        trouble = _trouble(house, url, limits, resolve)
        _note(house, number, url, trouble, now)
        asked += 1
    return asked


def _take(house: House, now: datetime) -> tuple[int, str] | None:
    waiting = exists().where(
        Delivery.mailing_id == Mailing.id,
        Delivery.state.in_(WAITING),
        Delivery.due_at <= now + AHEAD,
    )
    due = (
        select(Symposium)
        .join(Mailing, Mailing.symposium_id == Symposium.id)
        .where(
            Mailing.kind == MailingKind.FOLLOW_UP,
            Mailing.state.in_(CLAIMABLE),
            Mailing.due_at <= now + AHEAD,
            Symposium.state == SymposiumState.ANNOUNCED,
            Symposium.recording_url.is_not(None),
            Symposium.recording_next_at <= now,
            waiting,
        )
        .order_by(Symposium.recording_next_at, Symposium.id)
        .limit(1)
        .with_for_update(of=Symposium, skip_locked=True)
    )
    with house.database.write() as session:
        symposium = session.scalars(due).first()
        if symposium is None or symposium.recording_url is None:
            return None
        symposium.recording_next_at = now + LEASE
        return symposium.id, symposium.recording_url


def _trouble(house: House, url: str, limits: Limits, resolve: Resolve | None) -> str | None:
    """Why the address does not answer, in a sentence; None when it does."""
    try:
        answers(url, limits=limits, resolve=resolve, agent=_agent(house))
    except FetchError as problem:
        return str(problem).split(". ")[0].rstrip(".")[:LONGEST] + "."
    return None


def _agent(house: House) -> str:
    chosen = house.settings
    words = f"mailer (looks whether a recording is there; {chosen.base_url}; {chosen.contact_address})"
    return "".join(letter for letter in words if letter.isascii() and letter.isprintable())


def _note(house: House, number: int, url: str, trouble: str | None, now: datetime) -> None:
    with house.database.write() as session:
        symposium = session.get_one(Symposium, number)
        lock(session, symposium)
        if symposium.recording_url != url or symposium.recording_next_at is None:
            return  # a person has decided meanwhile
        if trouble is None:
            _answered(session, house, symposium, now)
        else:
            _hold(session, house, symposium, trouble, now)


def _answered(session: Session, house: House, symposium: Symposium, now: datetime) -> None:
    first = symposium.recording_seen_at is None
    symposium.recording_seen_at, symposium.recording_trouble = now, None
    symposium.recording_next_at = now + RECORDING_FRESH / 2
    close_incident(session, incident_key(symposium), now)
    if first:
        reminders.plan(session, house, symposium, now)


def _hold(session: Session, house: House, symposium: Symposium, trouble: str, now: datetime) -> None:
    since = symposium.follow_up_at or now
    if symposium.starts_at is not None:
        since = max(since, symposium.starts_at + timedelta(minutes=symposium.minutes))
    again = now + min(max(now - since, SOONEST), LATEST)
    symposium.recording_seen_at, symposium.recording_trouble = None, trouble
    symposium.recording_next_at = again if again - since < PATIENCE else None
    log.warning("recording-silent", symposium=symposium.id)
    raise_incident(session, incident_key(symposium), _words(symposium), now)
    reminders.plan(session, house, symposium, now)


def _words(symposium: Symposium) -> str:
    again = (
        "It is asked again by itself, and the mail leaves once it answers."
        if symposium.recording_next_at
        else "It is not asked again."
    )
    return (
        f"The mail after the symposium {symposium.slug} is held: its recording does not answer. "
        f"{symposium.recording_trouble} {again} Give another address with: mailer symposium follow-up "
        f"{symposium.slug} --recording URL (or --without-recording); send it all the same with: "
        f"mailer symposium follow-up {symposium.slug} --release"
    )


def incident_key(symposium: Symposium) -> str:
    return f"recording:{symposium.id}"
