"""Reader: what a mail to attendees depends on beside its language, read once for all who are alike."""

from collections.abc import Sequence

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
    told, kind, entered = None, None, None
    if symposium is not None and mailing.kind in OF_WHAT_THEY_KNOW:
        told = _told(session, mailing, symposium, manner.told)
        if mailing.kind in NOTICES:
            kind = notice_kind(told.precision if told else None, symposium.precision)
        if (kind or mailing.kind) in ENDS_THE_ENTRY and _may_hold_it(mailing, manner):
            entered = _entered(session, symposium, told)
    return Reader(
        kind=kind,
        told=told,
        entered=entered,
        came=CAME.get(manner.came),
        joining=manner.joining,
        seated=manner.seated,
        at=manner.at,
    )


def _may_hold_it(mailing: Mailing, manner: Manner) -> bool:
    """Whether their calendar may hold the symposium; of who withdrew it was noted at that moment."""
    return bool(mailing.facts.get("invited")) if mailing.kind is MailingKind.WITHDRAWAL else manner.invited


def _entered(session: Session, symposium: Symposium, told: SymposiumVersion | None) -> Symposium | None:
    """What may stand in their calendar: the day they heard of, else the live one, else its last."""
    if told is not None and has_day(told):
        return as_told(symposium, told)
    if has_day(symposium):
        return symposium
    last = next((one for one in reversed(_versions(session, symposium)) if has_day(one)), None)
    return as_told(symposium, last) if last else None


def _versions(session: Session, symposium: Symposium) -> Sequence[SymposiumVersion]:
    return session.scalars(
        select(SymposiumVersion)
        .where(SymposiumVersion.symposium_id == symposium.id)
        .order_by(SymposiumVersion.version)
    ).all()


def _told(
    session: Session, mailing: Mailing, symposium: Symposium, version: int | None
) -> SymposiumVersion | None:
    """The facts of their last mail; after doubt those that held before the change."""
    if version == UNKNOWN:
        version = mailing.facts.get("told")
    if version is None:
        return None
    return next((one for one in _versions(session, symposium) if one.version == version), None)


def spoken_of(
    kind: MailingKind, symposium: Symposium | None, told: SymposiumVersion | None
) -> Symposium | None:
    """The symposium as the mail speaks of it: called off is what its reader knows, not what was to come."""
    if symposium is None or told is None or kind is not MailingKind.CANCELLATION:
        return symposium
    return as_told(symposium, told)


def entry_of(
    kind: MailingKind, symposium: Symposium | None, manner: Manner, entered: Symposium | None
) -> Symposium | None:
    """What the calendar part of a mail speaks of: the symposium, or where it takes an entry out the date that
    stands in the reader's calendar. None where there is nothing to enter, or to take out (RFC 5546: a
    CANCEL follows a REQUEST)."""
    if symposium is None or not TRAITS[kind].calendar:
        return None
    if kind in ENDS_THE_ENTRY:
        return entered
    return symposium if manner.seated and has_day(symposium) else None
