"""What a digest may still tell of is asked at the claim, for each of its recipients.

A statement withdrawn or held back since is left out, and a digest of which nothing is left does not
leave. Slices without digests cost one look at their mailings.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from mailer.db import digests
from mailer.db.digests import Told
from mailer.db.outbox import Candidate, Surroundings
from mailer.vocabulary import DeliveryState, MailingKind, SkipReason

LeftOut = defaultdict[tuple[DeliveryState, SkipReason], list[int]]


def with_statements(
    session: Session, found: Sequence[Candidate], around: Surroundings, now: datetime
) -> Surroundings:
    """The surroundings, and for each digest among the candidates what it tells of now."""
    kinds = {number for number, one in around.mailings.items() if one.kind is MailingKind.DIGEST}
    if not kinds:
        return around
    theirs = [one.id for one in found if one.mailing_id in kinds]
    told = digests.told_by(session, theirs, now)
    return replace(around, digests={number: told.get(number, ()) for number in theirs})


def leave_out_empty(
    session: Session, held: Sequence[Candidate], out: LeftOut, told: Mapping[int, Told]
) -> list[Candidate]:
    """Those that still have something to tell; a digest that is too late owes it to the next one."""
    late = [number for number in out[(DeliveryState.EXPIRED, SkipReason.TOO_LATE)] if number in told]
    if late:
        digests.owe_again(session, late)
    empty = [one.id for one in held if not told.get(one.id, True)]
    if empty:
        out[(DeliveryState.SKIPPED, SkipReason.NOTHING_LEFT)] += empty
    return [one for one in held if told.get(one.id, True)]
