"""Which addresses are watched: adding, finding, pausing and removing them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from mailer.db.programme import Proposal
from mailer.db.sources import Source, SourceItem
from mailer.ingest.fetch import Limits
from mailer.ingest.hosts import read_url
from mailer.ingest.zones import is_place
from mailer.services import audit
from mailer.services.incidents import close_all_but
from mailer.vocabulary import ItemFate, ProposalState, SourceKind, SourceState

SHORTEST, LONGEST = timedelta(minutes=15), timedelta(days=30)
MOST_SOURCES = 200
ZONE_WORD_LETTERS = 60
MOST_ZONE_NAMES = 20
URL_LETTERS = 1_000
_EVERY = re.compile(r"(\d{1,4})\s*(m|min|h|d)", re.I)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,1}")
_UNITS = {"m": 60, "min": 60, "h": 3_600, "d": 86_400}
_SECOND_LEVELS = frozenset(("co", "com", "org", "net", "ac", "gov", "edu"))


class UnknownSource(Exception):
    """No source has this name or number; the message says how to list them."""


class SourceRefusal(Exception):
    """The source cannot be watched so; the message says what to write instead."""


def read_every(text: str) -> timedelta:
    """Read how often a source is checked: 30m, 1h, 2d. Raises SourceRefusal outside 15 minutes .. 30 days."""
    match = _EVERY.fullmatch(text.strip())
    every = timedelta(seconds=int(match[1]) * _UNITS[match[2].lower()]) if match else timedelta(0)
    if not SHORTEST <= every <= LONGEST:
        raise SourceRefusal(f'"{text}" is no interval from 15m to 30d. Write it as 30m, 1h or 2d.')
    return every


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What staff ask to be watched. `zone` is the IANA zone of the place its times are told in."""

    url: str
    every: timedelta
    zone: str
    kind: SourceKind = SourceKind.AUTO
    language: str = "en"
    name: str | None = None
    zone_names: Mapping[str, str] = field(default_factory=dict)  # what its zone words mean, beside ET and UTC
    take_old: bool = False  # make drafts of the statements that are there already


def add(
    session: Session, wanted: Wanted, *, actor: str, now: datetime, limits: Limits | None = None
) -> Source:
    """Watch an address from now on. Raises FetchError for one that is never fetched, else SourceRefusal."""
    limits = limits or Limits()
    if len(wanted.url) > URL_LETTERS:
        raise SourceRefusal(f"The web address is longer than {URL_LETTERS:,} letters. Use a shorter one.")
    if not _LANGUAGE.fullmatch(wanted.language):
        raise SourceRefusal(f'"{wanted.language[:40]}" is no language. Write it as en, hy or pt-BR.')
    target = read_url(wanted.url, plain_http=limits.plain_http, any_port=bool(limits.allow))
    if session.scalar(select(Source.id).where(Source.url == target.url)) is not None:
        raise SourceRefusal("This address is watched already. See: mailer source list")
    if len(all_sources(session)) >= MOST_SOURCES:
        raise SourceRefusal(f"{MOST_SOURCES} addresses are watched already. Remove one first.")
    source = Source(
        name=_free_name(session, wanted.name or _name_of(target.url)),
        url=target.url,
        asked_kind=wanted.kind,
        zone=wanted.zone,
        zone_names=dict(wanted.zone_names),
        language=wanted.language,
        every_seconds=int(wanted.every.total_seconds()),
        take_old=wanted.take_old,
        next_check_at=now,
        created_at=now,
    )
    session.add(source)
    session.flush()
    _record(session, source, "source-added", actor, now)
    return source


def all_sources(session: Session) -> list[Source]:
    """Every source by its name."""
    return list(session.scalars(select(Source).order_by(Source.name)))


def find(session: Session, reference: str) -> Source:
    """A source by its name, its number or its address."""
    if reference.isdecimal() and len(reference) < 19:
        wanted = Source.id == int(reference)
    else:
        wanted = (Source.name == reference) | (Source.url == reference)
    found = session.scalars(select(Source).where(wanted)).first()
    if found is None:
        raise UnknownSource(f'There is no source "{reference}". List them with: mailer source list')
    return found


def items_of(session: Session, source: Source) -> list[SourceItem]:
    """What a source held, the latest first."""
    latest = (SourceItem.gone_at.isnot(None), SourceItem.day.desc(), SourceItem.id)
    return list(
        session.scalars(select(SourceItem).where(SourceItem.source_id == source.id).order_by(*latest))
    )


def questions_of(session: Session, source: Source) -> dict[str, int]:
    """The numbers of the questions that wait, by the keys of their items."""
    theirs = select(Proposal).where(
        Proposal.source_id == source.id,
        Proposal.question.is_not(None),
        Proposal.state == ProposalState.OPEN,
    )
    return {str(one.question["key"]): one.id for one in session.scalars(theirs) if one.question}


def held_counts(session: Session, today: date) -> dict[int, int]:
    """How many items of each source wait for a person: held, still there, and not over."""
    waiting = (
        select(SourceItem.source_id, func.count())
        .where(
            SourceItem.fate == ItemFate.HELD,
            SourceItem.gone_at.is_(None),
            or_(SourceItem.day.is_(None), SourceItem.day >= today),
        )
        .group_by(SourceItem.source_id)
    )
    return dict(session.execute(waiting).all())


def read_zone_name(text: str) -> tuple[str, str]:
    """Read what a source means by a zone's word: CST=America/Chicago. Raises SourceRefusal."""
    word, _, zone = (part.strip() for part in text.partition("="))
    if not 0 < len(word) <= ZONE_WORD_LETTERS or not word.isprintable() or not is_place(zone):
        raise SourceRefusal(
            f'"{text[:80]}" names no zone. Write the source\'s word and the IANA name of the place: '
            "CST=America/Chicago"
        )
    return word, zone


def name_zone(session: Session, source: Source, word: str, zone: str, *, actor: str, now: datetime) -> None:
    """From now on this word of the source means that place. It is read whole at its next turn."""
    if len(source.zone_names) >= MOST_ZONE_NAMES:
        raise SourceRefusal(f"A source has at most {MOST_ZONE_NAMES} words for zones.")
    source.zone_names = {**source.zone_names, word: zone}
    source.etag = source.modified = None
    source.next_check_at = min(source.next_check_at, now)
    _record(session, source, "source-zone-named", actor, now)


def pause(session: Session, source: Source, *, actor: str, now: datetime) -> None:
    """Fetch it no more, until it is resumed; what it held stays known."""
    source.state = SourceState.PAUSED
    source.lease += 1  # a fetch that is under way changes nothing any more
    source.leased_until = None
    close_all_but(session, incident_key(source), (), now)
    _record(session, source, "source-paused", actor, now)


def resume(session: Session, source: Source, *, actor: str, now: datetime) -> None:
    """Fetch it again, at once."""
    source.state, source.next_check_at, source.failures = SourceState.WATCHED, now, 0
    _record(session, source, "source-resumed", actor, now)


def remove(session: Session, source: Source, *, actor: str, now: datetime) -> None:
    """Forget a source and what it held. Statements, symposia and drafts made from it stay."""
    for proposal in session.scalars(select(Proposal).where(Proposal.source_id == source.id)):
        if proposal.state in {ProposalState.OPEN, ProposalState.HELD}:
            proposal.state = ProposalState.WITHDRAWN
        proposal.source_id = None
    session.flush()
    close_all_but(session, incident_key(source), (), now)
    session.execute(delete(SourceItem).where(SourceItem.source_id == source.id))
    _record(session, source, "source-removed", actor, now)
    session.delete(source)
    session.flush()


def incident_key(source: Source) -> str:
    """What all incidents of one source begin with."""
    return f"source:{source.id}:"


def _record(session: Session, source: Source, action: str, actor: str, now: datetime) -> None:
    audit.record(session, actor=actor, action=action, subject=f"source:{source.id}", now=now)


def _name_of(url: str) -> str:
    """A short name: the host's own word, and the last word of the path."""
    parts = urlsplit(url)
    labels = [label for label in (parts.hostname or "").split(".") if label != "www"]
    own = labels[:-1] or labels
    if len(own) > 1 and own[-1] in _SECOND_LEVELS:
        own = own[:-1]
    last = [word for word in re.split(r"[^a-z0-9]+", parts.path.lower()) if word][-2:]
    return "-".join([*own[-1:], *last]) or "source"


def _free_name(session: Session, wanted: str) -> str:
    wanted = re.sub(r"[^a-z0-9-]+", "-", wanted.lower()).strip("-")[:56] or "source"
    if wanted.isdecimal():
        wanted = f"source-{wanted}"
    name, number = wanted, 1
    while session.scalar(select(Source.id).where(Source.name == name)) is not None:
        number += 1
        name = f"{wanted}-{number}"
    return name
