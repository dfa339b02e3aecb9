"""Rehearsal: shortly before an embargo ends a worker does what it will do then, and undoes it.

The claim runs in a transaction that is rolled back, the forms are compiled in every
language that is read, and some letters are composed and thrown away. What is left are
prepared statements, warm pages and compiled forms; nothing of the rows has changed.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog

from mailer.db.embargoes import opening_at
from mailer.services.house import House
from mailer.services.incidents import close_incident, raise_incident
from mailer.services.sending.claim import claim
from mailer.services.sending.compose import Composer
from mailer.services.sending.gate import as_if
from mailer.services.sending.preflight import wishes_of_readers
from mailer.services.sending.texts import language_of
from mailer.smtp.letter import Lease, Letter

COMPOSED = 20  # letters composed and thrown away
ROUNDS = 2  # of the claim: what the first one asks the second one has prepared

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What was prepared. `domains` are those of the first readers, for who goes to their servers itself."""

    mailings: int = 0
    languages: int = 0
    domains: tuple[str, ...] = ()


def rehearse(
    house: House,
    composer: Composer,
    moment: datetime,
    *,
    worker: str,
    relays: tuple[int, ...] = (),
    limit: int,
) -> Rehearsed:
    """Prepare for the embargoes that end at `moment`. Raises what the database raises."""
    domains: list[str] = []
    for _ in range(ROUNDS):
        with house.database.rehearsal() as session:
            slice_ = claim(
                session, house, worker=worker, now=moment, limit=limit, relays=relays, gate=as_if(moment)
            )
            mails = list(composer.mails(session, slice_, lease=Lease(0.0), now=moment))
        letters = [mail.compose() for mail in mails[:COMPOSED]]
        domains = [one.recipient.rpartition("@")[2] for one in letters if isinstance(one, Letter)]
    with house.database.read() as session:
        mailings = opening_at(session, moment)
        forms = {
            (mailing.id, wished): composer.prepare(session, mailing, wished)
            for mailing in mailings
            for wished in wishes_of_readers(session, mailing)
        }
    _tell(house, forms, moment)
    return Rehearsed(
        mailings=len(mailings),
        languages=len({language_of(wished) for _, wished in forms}),
        domains=tuple(dict.fromkeys(domains)),
    )


def _tell(house: House, forms: dict[tuple[int, str], bool], moment: datetime) -> None:
    """A form that cannot be compiled is an incident while there is still time to mend the text."""
    unfit = {mailing: language_of(wished) for (mailing, wished), fit in forms.items() if not fit}
    with house.database.write() as session:
        for mailing in {mailing for mailing, _ in forms}:
            key = f"embargo-form:{mailing}"
            if mailing not in unfit:
                close_incident(session, key, moment)
                continue
            words = (
                f"The alert of mailing {mailing} waits for its embargo and cannot be put into a mail in the "
                f"language {unfit[mailing]}; its log names the rule (form-unfit). Mend the text and approve "
                f"it again, or drop the embargo."
            )
            raise_incident(session, key, words, moment)
