"""Reader: what a mail to attendees depends on beside its language, read once for all who are alike."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.programme import Symposium, SymposiumVersion
from mailer.services.sending.attendee import OF_WHAT_THEY_KNOW, Manner
from mailer.services.sending.content import Reader
from mailer.services.sending.invitation import has_day
from mailer.services.sending.notice import as_told, notice_kind
from mailer.services.sending.told import ENDS_THE_ENTRY, UNKNOWN
from mailer.services.sending.traits import NOTICES, TRAITS
from mailer.vocabulary import Attendance, MailingKind

CAME = {Attendance.ATTENDED: True, Attendance.ABSENT: False}


def read_reader(session: Session, mailing: Mailing, symposium: Symposium | None, manner: Manner) -> Reader:
    """What readers of this manner were told last, and which notice that makes of a change."""
    told, kind = None, None
    if symposium is not None and mailing.kind in OF_WHAT_THEY_KNOW:
        told = _told(session, mailing, symposium, manner.told)
        if mailing.kind in NOTICES:
            kind = notice_kind(told.precision if told else None, symposium.precision)
    return Reader(
        kind=kind,
        told=told,
        came=CAME.get(manner.came),
        joining=manner.joining,
        seated=manner.seated,
        at=manner.at,
    )


def _told(
    session: Session, mailing: Mailing, symposium: Symposium, version: int | None
) -> SymposiumVersion | None:
    """The facts of their last mail; after doubt those that held before the change."""
    if version == UNKNOWN:
        version = mailing.facts.get("told")
    if version is None:
        return None
    return session.scalars(
        select(SymposiumVersion).where(
            SymposiumVersion.symposium_id == symposium.id, SymposiumVersion.version == version
        )
    ).one_or_none()


def spoken_of(
    kind: MailingKind, symposium: Symposium | None, told: SymposiumVersion | None
) -> Symposium | None:
    """The symposium as the mail speaks of it: called off is what its reader knows, not what was to come."""
    if symposium is None or told is None or kind is not MailingKind.CANCELLATION:
        return symposium
    return as_told(symposium, told)


def entry_of(
    mailing: Mailing,
    kind: MailingKind,
    symposium: Symposium | None,
    manner: Manner,
    told: SymposiumVersion | None,
) -> Symposium | None:
    """What the calendar part of a mail speaks of: the symposium, or where it takes an entry out the date that
    stands in the reader's calendar. None where there is nothing to enter, or to take out (RFC 5546: a
    CANCEL follows a REQUEST)."""
    if symposium is None or not TRAITS[kind].calendar:
        return None
    invited = bool(mailing.facts.get("invited")) if kind is MailingKind.WITHDRAWAL else manner.invited
    if kind in ENDS_THE_ENTRY and not invited:
        return None
    if kind not in ENDS_THE_ENTRY and not manner.seated:
        return None
    if kind in ENDS_THE_ENTRY and told is not None and has_day(told):
        return as_told(symposium, told)
    return symposium if has_day(symposium) else None
