"""Rooms: a reminder that is to lead into an online room waits a while for staff to say where that is.

It does not wait for ever: a reminder without the way in is better than none.
"""

from datetime import datetime, timedelta

from mailer.db.mailings import Mailing
from mailer.db.programme import Symposium
from mailer.vocabulary import MailingKind

LAST_MOMENT = timedelta(minutes=5)  # before it would be too late it leaves as it is


def lacks_room(symposium: Symposium) -> bool:
    """True for what is held online, in a room nobody has named. Who registers elsewhere is let in there."""
    return bool(symposium.online) and symposium.room is None and symposium.register_url is None


def must_wait(mailing: Mailing, symposium: Symposium, not_after: datetime, now: datetime) -> bool:
    """True for a reminder of the last day before a known hour, until a moment before it is too late."""
    if mailing.kind is not MailingKind.REMINDER or not mailing.facts.get("joining"):
        return False
    if symposium.starts_at is None:  # staff are told of what has an hour alone
        return False
    return lacks_room(symposium) and now < not_after - LAST_MOMENT
