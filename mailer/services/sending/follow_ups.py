"""Mails after the end: nobody gets two that say the same to different audiences.

A rule for everybody and one for those who came may both hold; who had the one does not get
the other. Two rules for the same people are two mails that staff want.
"""

from collections.abc import Iterable

from mailer.db.follow_ups import FollowUp, audience_of
from mailer.db.mailings import Mailing


def rivals(mailing: Mailing, found: Iterable[FollowUp]) -> list[FollowUp]:
    """Those of somebody's mails after the end that take this one's place."""
    audience = audience_of(mailing.facts)
    return [
        one
        for one in found
        if one.mailing_id != mailing.id and one.generation == mailing.generation and one.audience != audience
    ]


def is_told(mailing: Mailing, found: Iterable[FollowUp]) -> bool:
    """True for who had another one, or may have had it."""
    return any(not one.on_its_way for one in rivals(mailing, found))


def is_being_told(mailing: Mailing, found: Iterable[FollowUp]) -> bool:
    """True for whom a worker has another one in hand: what comes of it is known in a moment."""
    return any(one.on_its_way for one in rivals(mailing, found))
