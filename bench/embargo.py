"""An embargo, measured: how long after its moment the first mail is at the sink, and what came before it.

The sink's clock, the database's and the workers' are one machine's. Everything is armed
well ahead, as it is in earnest: the audience is expanded, and the alarm of the send
worker finds by itself what ends next.
"""

import itertools
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bench.corridor import RunFailed, check_arrived, check_books, until_done, until_expanded
from bench.letter import write_statement
from bench.plant import Crew, Plant
from bench.sinks import Server, counted, nothing_before
from mailer.services.programme import embargo, review, statements
from mailer.services.sending.embargo_time import at_instant

AHEAD = timedelta(seconds=40)  # longer than to expand a hundred thousand, and than the alarm's lead
READERS_MOMENT = 2.0  # seconds before the moment by which everything must be armed
_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Opening:
    """One embargo's end. Times in seconds after its moment, by the sink's clock."""

    mails: int
    first_envelope: float
    first_mail: float
    last_mail: float
    early: int


def opening(plant: Plant, crew: Crew, sink: Server) -> Opening:
    """Put a new statement under embargo, wait for its moment, and see what came when."""
    moment = (datetime.now(UTC) + AHEAD).replace(microsecond=0)
    counted(sink, reset=True)
    nothing_before(sink, moment.timestamp())
    mailing_id = _schedule(plant, moment)
    until_expanded(plant, mailing_id, crew)
    plant.postgresql.settle_down()
    if datetime.now(UTC) > moment - timedelta(seconds=READERS_MOMENT):
        raise RunFailed("it took so long to expand the mailing that its embargo was over before it was armed")
    time.sleep((moment - datetime.now(UTC)).total_seconds())
    until_done(plant, mailing_id, crew)
    mails = check_books(plant, mailing_id)
    came = counted(sink)
    check_arrived(came, mails)
    start = moment.timestamp()
    return Opening(
        mails=mails,
        first_envelope=came.envelope_at - start,
        first_mail=came.first_at - start,
        last_mail=came.last_at - start,
        early=came.early,
    )


def _schedule(plant: Plant, moment: datetime) -> int:
    now = datetime.now(UTC)
    with plant.house.database.write() as session:
        statement = write_statement(session, f"embargo-{next(_numbers)}", now)
        session.flush()
        key = statement.key
    with plant.house.database.write() as session:
        found = statements.find(session, key)
        review.ask(session, found, actor="bench", now=now)
        review.approve(session, found, actor="bench", now=now)
        until = at_instant(moment, plant.house.settings.zone)
        mailing, _ = embargo.schedule(session, plant.house, found, until, actor="bench", now=now, anyway=True)
        session.flush()
        return mailing.id
