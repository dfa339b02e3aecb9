"""Checking a source: fetched with no transaction open, read, and written down while the lease is ours.

Whatever goes wrong is a sentence on the source. One that fails keeps being tried, ever
more rarely; one whose address is gone for good is paused.
"""

import http.client
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import structlog
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from mailer.db.sources import Source
from mailer.ingest.content import MOST_BYTES, open_content, read_content
from mailer.ingest.draft import PageDraft
from mailer.ingest.errors import IngestError, PageError, ServerError
from mailer.ingest.fetch import Fetched, Seen
from mailer.ingest.zones import ZONES
from mailer.messages.when import zone_named
from mailer.services.house import House
from mailer.services.incidents import close_incident, raise_incident
from mailer.services.sources.lease import Lease, give_back, held, take, take_due
from mailer.services.sources.manners import Guest, Web
from mailer.services.sources.registry import incident_key, pause
from mailer.services.sources.taking import Taken, take_page
from mailer.vocabulary import SourceKind

log = structlog.get_logger()

WHOLE_AFTER = timedelta(hours=20)  # then it is read whole even if unchanged: a calendar's year moves on
TROUBLED_AFTER = 3  # failures in a row until staff are told
MOST_AT_ONCE = 3  # sources checked by one tick: the queue serves other things too
_FEEDS = frozenset((SourceKind.FEED, SourceKind.JSON_FEED))


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What one check came to. `trouble` is empty when something was read or nothing had changed."""

    source_id: int
    unchanged: bool = False
    trouble: str = ""
    taken: Taken | None = None
    page: PageDraft | None = None


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What came from outside, before anything is written."""

    fetched: Fetched | None = None
    page: PageDraft | None = None
    trouble: str = ""
    wait: timedelta | None = None
    gone: bool = False


def check_due(house: House, now: datetime, *, web: Web | None = None, most: int = MOST_AT_ONCE) -> int:
    """Check what is due, at most `most` sources; returns how many were."""
    for count in range(most):
        with house.database.write() as session:
            lease = take_due(session, now)
        if lease is None:
            return count
        check(house, lease, now, web=web)
    return most


def check_now(
    house: House, source_id: int, now: datetime, *, web: Web | None = None, believe: bool = False
) -> Checked | None:
    """Check one source at once and whole, due or not; None while a worker is checking it."""
    with house.database.write() as session:
        lease = take(session, source_id, now)
    return check(house, lease, now, web=web, believe=believe, whole=True) if lease else None


def check(
    house: House,
    lease: Lease,
    now: datetime,
    *,
    web: Web | None = None,
    believe: bool = False,
    whole: bool = False,
) -> Checked:
    """Check a leased source once."""
    with house.database.read() as session:
        source = session.get(Source, lease.source_id)
    if source is None:
        return Checked(source_id=lease.source_id, trouble="The source was removed meanwhile.")
    guest = Guest(house, web or Web(), now, by_hand=whole)
    answer = _answer(guest, source, web or Web(), now, whole=whole)
    delay = timedelta(seconds=min(guest.delay or 0, 86_400))
    answer = replace(answer, wait=max(answer.wait or timedelta(0), delay))
    checked = _written(house, lease, answer, now, believe=believe)
    log.info("source-checked", source=lease.source_id, failed=bool(checked.trouble))
    return checked


def _written(house: House, lease: Lease, answer: _Answer, now: datetime, *, believe: bool) -> Checked:
    for _ in range(2):
        try:
            return _write(house, lease, answer, now, believe=believe)
        except IntegrityError:
            continue  # another source brought the same thing in this very moment: now it is known
        except (SQLAlchemyError, ArithmeticError, LookupError, TypeError, ValueError) as problem:
            # Nothing of it was written. Said on the source, it is tried again later and ever more rarely.
            trouble = _fault(problem, lease.source_id)
            return _write(house, lease, _Answer(trouble=trouble, wait=answer.wait), now, believe=believe)
    trouble = "Something else wrote the same at the same time. It is read again at its next turn."
    return _write(house, lease, _Answer(trouble=trouble, wait=answer.wait), now, believe=believe)


def _write(house: House, lease: Lease, answer: _Answer, now: datetime, *, believe: bool) -> Checked:
    with house.database.write() as session:
        source = held(session, lease)
        if source is None:
            return Checked(source_id=lease.source_id, trouble="Somebody else has checked it meanwhile.")
        checked = _taken(session, source, answer, now, believe=believe)
        give_back(source, now, wait=answer.wait)
        return checked


def _fault(problem: Exception, source_id: int) -> str:
    kind = type(problem).__name__
    log.error("source-unreadable", source=source_id, kind=kind)
    return f"It cannot be read ({kind}): a fault of the program. Please report it."


def _answer(guest: Guest, source: Source, web: Web, now: datetime, *, whole: bool) -> _Answer:
    """Fetch and read. Never raises: what a stranger's bytes do to a parser must not end a worker."""
    known = None if whole or _is_stale(source, now) else source
    seen = Seen(etag=known.etag, modified=known.modified) if known else Seen()
    try:
        fetched = guest.fetch(source.url, replace(web.limits, octets=MOST_BYTES), seen)
        page = None if fetched.unchanged else _read(source, fetched, now)
    except ServerError as problem:
        wait = timedelta(seconds=problem.retry_after) if problem.retry_after is not None else None
        return _Answer(trouble=str(problem), wait=wait, gone=problem.status == http.client.GONE)
    except IngestError as problem:
        return _Answer(trouble=str(problem))
    except Exception as problem:
        return _Answer(trouble=_fault(problem, source.id))
    return _Answer(fetched=fetched, page=page)


def _is_stale(source: Source, now: datetime) -> bool:
    return source.read_at is None or bool(source.suspect) or now - source.read_at > WHOLE_AFTER


def _read(source: Source, fetched: Fetched, now: datetime) -> PageDraft:
    content = open_content(fetched.body, fetched.charset)
    wanted = source.asked_kind
    fits = wanted in {SourceKind.AUTO, content.kind} or (wanted in _FEEDS and content.kind in _FEEDS)
    if not fits:
        raise PageError(f"The address gave a {content.kind} where a {wanted} was expected. Look at it.")
    return read_content(
        content,
        fetched_on=_today(source, now),
        source=fetched.url,
        zone=source.zone,
        zones={**ZONES, **source.zone_names},
        language=source.language,
    )


def _today(source: Source, now: datetime) -> date:
    return now.astimezone(zone_named(source.zone)).date()


def _taken(session: Session, source: Source, answer: _Answer, now: datetime, *, believe: bool) -> Checked:
    source.checked_at = now
    if answer.trouble:
        return _failed(session, source, answer, now)
    source.failures, source.trouble = 0, ""
    close_incident(session, f"{incident_key(source)}failing", now)
    if answer.page is None or answer.fetched is None:
        return Checked(source_id=source.id, unchanged=True)
    source.kind = answer.page.kind
    taken = take_page(session, source, answer.page, now, today=_today(source, now), believe=believe)
    source.read_at = now
    # What was not believed is fetched whole next time, whatever its server says of changes.
    source.etag = None if taken.suspect else answer.fetched.etag
    source.modified = None if taken.suspect else answer.fetched.modified
    return Checked(source_id=source.id, taken=taken, page=answer.page)


def _failed(session: Session, source: Source, answer: _Answer, now: datetime) -> Checked:
    source.failures += 1
    source.trouble = answer.trouble
    if answer.gone:
        pause(session, source, actor="sources", now=now)
    if answer.gone or source.failures >= TROUBLED_AFTER:
        state = "is paused: its address is gone for good" if answer.gone else "could not be read"
        words = (
            f"The source “{source.name}” {state}. {answer.trouble} "
            f"See: mailer source show {source.name}. What is known from it stays."
        )
        raise_incident(session, f"{incident_key(source)}failing", words, now)
    return Checked(source_id=source.id, trouble=answer.trouble)
