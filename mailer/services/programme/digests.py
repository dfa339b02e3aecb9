"""Digests: at their civil hour the owed statements of a topic become one mailing for each zone's day.

Zones in which the same day reaches that hour at the same instant share a mailing. Only the newest hour
that has passed is looked at, so a machine that was off sends one digest, late, and not one for each day.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db import digests
from mailer.db.mailings import Mailing
from mailer.db.people import Topic
from mailer.messages import when
from mailer.services.house import House
from mailer.services.sending.announce import Announcement, announce
from mailer.services.sending.digest_claim import hold_what_waits
from mailer.services.sending.traits import TRAITS
from mailer.settings import WEEKDAYS, Settings
from mailer.vocabulary import Frequency, MailingKind


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One civil hour at which digests are sent: the reader's own day, and the instant it is there (UTC)."""

    day: str
    due_at: datetime


def newest_turn(frequency: Frequency, zone: str, settings: Settings, now: datetime) -> Turn:
    """The last time before now at which clocks of the zone showed the hour of digests.

    Of a weekly digest it is the hour on the chosen weekday.
    """
    hour = time(settings.digest_hour)
    day = when.local(now, zone).date()
    step = timedelta(days=1)
    if frequency is Frequency.WEEKLY:
        step = timedelta(weeks=1)
        day -= timedelta(days=(day.weekday() - WEEKDAYS.index(settings.digest_weekday)) % 7)
    while when.instant(day, hour, zone) > now:
        day -= step
    return Turn(day=day.isoformat(), due_at=when.instant(day, hour, zone))


def plan_all(house: House, now: datetime) -> int:
    """Announce every digest whose hour has come and that has something to tell; returns how many.

    Repeating it adds nothing, and when nobody is owed anything nothing is written.
    """
    with house.database.read() as session:
        due = list(_due(session, house.settings, now))
    if not due:
        return 0
    with house.database.write() as session:
        hold_what_waits(session, now)
        due = list(_due(session, house.settings, now))
        for announcement in due:
            announce(session, house, announcement, now)
    return len(due)


def _due(session: Session, settings: Settings, now: datetime) -> Iterator[Announcement]:
    keys = {one.id: one.key for one in session.scalars(select(Topic))}
    for (topic_id, frequency, turn), zones in _turns(digests.waiting(session), settings, now).items():
        key = f"digest:{keys[topic_id]}:{frequency.value}:{turn.day}:{turn.due_at:%Y%m%dT%H%Mz}"
        announced = session.scalar(select(Mailing.id).where(Mailing.key == key))
        if announced is None and digests.is_owed(session, topic_id, turn.due_at):
            yield Announcement(
                key=key,
                kind=MailingKind.DIGEST,
                topic_id=topic_id,
                due_at=turn.due_at,
                expires_at=now + TRAITS[MailingKind.DIGEST].lifetime,
                facts={"frequency": frequency.value, "day": turn.day, "zones": sorted(zones)},
            )


def _turns(
    waiting: Iterable[digests.Waiting], settings: Settings, now: datetime
) -> dict[tuple[int, Frequency, Turn], set[str]]:
    """The turns that may have something to tell, each with the zones it is for."""
    zones: defaultdict[tuple[int, Frequency, Turn], set[str]] = defaultdict(set)
    for one in waiting:
        zone = one.zone if when.is_zone(one.zone) else settings.zone
        turn = newest_turn(one.frequency, zone, settings, now)
        if one.since <= turn.due_at:
            zones[one.topic_id, one.frequency, turn].add(one.zone)
    return zones
