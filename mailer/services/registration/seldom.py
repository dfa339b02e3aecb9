"""Seldom: how often forms that anybody can send may make us write to one person.

An answer to such a mail begins a new count: whoever answers is no victim of a stranger.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.people import Subscriber
from mailer.db.programme import Registration

PAUSE = timedelta(hours=24)  # between two mails that nobody answers
MOST = 3  # mails of one kind that nobody answers


def hold(session: Session, person: Subscriber) -> None:
    """Of two forms at once about one person the second sees what the first sent. Before any `lock`."""
    session.execute(select(Subscriber.id).where(Subscriber.id == person.id).with_for_update(key_share=True))


def may_write(session: Session, person: Subscriber, such: ColumnElement[bool], now: datetime) -> bool:
    """Whether a form may cause one more such mail to this person, by those they have not answered."""
    theirs = select(Registration.id).where(Registration.subscriber_id == person.id)
    answered = session.scalar(
        select(func.max(Registration.confirmed_at)).where(Registration.subscriber_id == person.id)
    )
    unanswered = such & Mailing.registration_id.in_(theirs)
    if answered is not None:
        unanswered &= Mailing.created_at > answered
    count, newest = session.execute(
        select(func.count(), func.max(Mailing.created_at)).where(unanswered)
    ).one()
    return count < MOST and (newest is None or now - newest >= PAUSE)
