"""Notice: which of the notices a change is, and what of the facts differs, in the reader's words."""

from mailer.db.programme import Symposium, SymposiumVersion
from mailer.messages import words
from mailer.messages.catalogues import online_words, to_be_announced
from mailer.messages.facts import Change, ChangedThing
from mailer.services.sending.invitation import announced_end
from mailer.vocabulary import MailingKind, Precision

EXACT = frozenset({Precision.DATETIME, Precision.DATE})


def notice_kind(told: Precision | None, live: Precision) -> MailingKind:
    """What it is to somebody who was told so exact a date: fixed, withdrawn, or just changed."""
    if live in EXACT and told is not None and told not in EXACT:
        return MailingKind.DATE_FIXED
    if live not in EXACT and told in EXACT:
        return MailingKind.POSTPONED
    return MailingKind.CHANGE


def changes(told: SymposiumVersion, live: Symposium, language: str) -> tuple[Change, ...]:
    """What differs besides the date and time, in the order in which it is told."""
    found = []
    if told.title != live.title:
        found.append(Change(what=ChangedThing.TITLE, old=told.title, new=live.title))
    if told.place != live.place:
        new = live.place or to_be_announced(language)
        found.append(Change(what=ChangedThing.PLACE, old=told.place, new=new))
    end = _end_words(live, language)
    # Where the time changed too, the old and the new one each name their end.
    if end is not None and same_time(told, live) and announced_end(told) != announced_end(live):
        found.append(Change(what=ChangedThing.END, old=_end_words(told, language), new=end))
    if told.online != live.online and live.online is not None:
        old = None if told.online is None else online_words(language, told.online)
        found.append(Change(what=ChangedThing.JOINING, old=old, new=online_words(language, live.online)))
    return tuple(found)


def _end_words(row: Symposium | SymposiumVersion, language: str) -> str | None:
    ends_at = announced_end(row)
    if ends_at is None or row.starts_at is None or row.zone is None:
        return None
    return words.end_words(row.starts_at, ends_at, row.zone, language)


def same_time(told: SymposiumVersion, live: Symposium) -> bool:
    return (told.precision, told.day, told.wall_time, told.zone, told.starts_at) == (
        live.precision,
        live.day,
        live.wall_time,
        live.zone,
        live.starts_at,
    )


def as_told(symposium: Symposium, told: SymposiumVersion) -> Symposium:
    """The symposium as somebody knows it, who was told these facts last. It belongs to no session."""
    return Symposium(
        uid=symposium.uid,
        slug=symposium.slug,
        state=symposium.state,
        title=told.title,
        series=None,
        language=symposium.language,
        place=told.place,
        online=told.online,
        room=symposium.room,
        sequence=symposium.sequence,
        facts_version=symposium.facts_version,
        facts_changed_at=symposium.facts_changed_at,
        precision=told.precision,
        day=told.day,
        wall_time=told.wall_time,
        zone=told.zone,
        starts_at=told.starts_at,
        minutes=told.minutes or symposium.minutes,  # none was told where none was announced
        end_source=told.end_source,
    )
