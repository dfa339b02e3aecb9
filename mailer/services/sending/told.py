"""Heard: what a mail that was accepted has made its reader know, and what of it is noted on the registration.

The next change notice is the difference between this and the live facts, so what is not known for
certain is noted as unknown: then a notice goes rather than not.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, or_, update
from sqlalchemy.orm import Session

from mailer.db.mailings import Claim, Mailing
from mailer.db.programme import Registration, Symposium
from mailer.services.sending.invitation import has_day
from mailer.services.sending.traits import TRAITS
from mailer.vocabulary import MailingKind

UNKNOWN = 0  # as a version: nobody knows which facts this reader has
TELLS_NOTHING = frozenset({MailingKind.FOLLOW_UP, MailingKind.REGISTRATION_REQUEST})
LEAVING = frozenset({MailingKind.CANCELLATION, MailingKind.WITHDRAWAL})
ENDS_THE_ENTRY = LEAVING | {MailingKind.POSTPONED}


class Heard(NamedTuple):
    """`version` of the facts. `firm`: the mail is about them; a reminder only repeats them, and counts where
    nothing else is known. `invites`: it held a calendar REQUEST; False: a CANCEL; None: neither."""

    version: int
    firm: bool
    invites: bool | None


def told_by(kind: MailingKind, symposium: Symposium | None) -> Heard | None:
    """What a mail of this kind tells when it speaks of the symposium as it stands."""
    if symposium is None or kind in TELLS_NOTHING:
        return None
    invites = None
    if kind in ENDS_THE_ENTRY:
        invites = False
    elif TRAITS[kind].calendar and has_day(symposium):
        invites = True
    return Heard(symposium.facts_version, kind is not MailingKind.REMINDER, invites)


def told_once(session: Session, mailing: Mailing, fence: int | None) -> Heard | None:
    """The same for a mail that was claimed some time ago.

    Where the facts have changed since, nobody knows which it told, and an entry may stand in their calendar.
    """
    if mailing.symposium_id is None or fence is None:
        return None
    symposium = session.get(Symposium, mailing.symposium_id)
    claim = session.get(Claim, fence)
    if symposium is None or claim is None:
        return None
    changed_at = symposium.facts_changed_at
    told = told_by(mailing.kind, symposium)
    if told is None or changed_at is None or changed_at <= claim.claimed_at:
        return told
    if not told.firm:
        return None
    enters = TRAITS[mailing.kind].calendar and mailing.kind not in LEAVING
    return told._replace(version=UNKNOWN, invites=True if enters else None)


def remember(
    session: Session,
    accepted: Iterable[tuple[int, Heard]],
    doubtful: Iterable[tuple[int, Heard]],
    now: datetime,
) -> None:
    """Note it on the registrations, given by their ids."""
    groups: defaultdict[tuple[Heard, datetime | None], list[int]] = defaultdict(list)
    for registration_id, told in accepted:
        groups[(told, now)].append(registration_id)
    for registration_id, told in doubtful:
        if told.firm:  # the entry may stand in their calendar, and may not be gone from it
            groups[(told._replace(version=UNKNOWN, invites=told.invites or None), None)].append(
                registration_id
            )
    for (told, at), ids in groups.items():
        _note(session, told, at, ids)


def _note(session: Session, told: Heard, at: datetime | None, ids: list[int]) -> None:
    values: dict[str, object] = {"told_version": told.version}
    if told.firm:
        values["told_at"] = at
    if told.invites is not None:
        values["invited"] = told.invites
    whose: ColumnElement[bool] = Registration.id.in_(sorted(ids))
    if not told.firm:
        whose &= or_(Registration.told_version.is_(None), Registration.told_version == UNKNOWN)
    session.execute(
        update(Registration).where(whose).values(values).execution_options(synchronize_session=False)
    )
