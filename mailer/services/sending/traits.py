"""What distinguishes the kinds of mailings on their way: one row each, the whole table on one screen."""

from dataclasses import dataclass
from datetime import timedelta

from mailer.vocabulary import DoubtPolicy, MailingKind


@dataclass(frozen=True, kw_only=True)
class Traits:
    """`rank`: the smaller leaves first. `lifetime`: how long it is tried when nothing else ends it."""

    rank: int
    policy: DoubtPolicy
    lifetime: timedelta
    bulk: bool  # Precedence: list
    unsubscribe: bool  # carries the List-Unsubscribe pair
    auto_submitted: bool
    calendar: bool = False  # carries an iTIP part for whom invitation.py says
    answers: bool = False  # In-Reply-To names the alert that this person got


# Made by a rule: each later registration joins, and leaving one leaves all of that symposium.
BY_RULE = frozenset({MailingKind.REMINDER, MailingKind.FOLLOW_UP})
NOTICES = frozenset({MailingKind.CHANGE, MailingKind.DATE_FIXED, MailingKind.POSTPONED})

_RETRY, _HOLD = DoubtPolicy.RETRY, DoubtPolicy.HOLD
_DAY = timedelta(days=1)

TRAITS: dict[MailingKind, Traits] = {
    MailingKind.OPT_IN: Traits(
        rank=0, policy=_RETRY, lifetime=_DAY, bulk=False, unsubscribe=False, auto_submitted=True
    ),
    MailingKind.REGISTRATION_REQUEST: Traits(
        rank=0, policy=_RETRY, lifetime=_DAY, bulk=False, unsubscribe=False, auto_submitted=True
    ),
    MailingKind.REGISTRATION_CONFIRMATION: Traits(
        rank=0,
        policy=_RETRY,
        lifetime=_DAY,
        bulk=False,
        unsubscribe=False,
        auto_submitted=True,
        calendar=True,
    ),
    MailingKind.WAITING_LIST: Traits(
        rank=0, policy=_RETRY, lifetime=_DAY, bulk=False, unsubscribe=False, auto_submitted=True
    ),
    MailingKind.WITHDRAWAL: Traits(
        rank=0,
        policy=_RETRY,
        lifetime=3 * _DAY,
        bulk=False,
        unsubscribe=False,
        auto_submitted=True,
        calendar=True,
    ),
    MailingKind.CHANGE: Traits(
        rank=10,
        policy=_RETRY,
        lifetime=3 * _DAY,
        bulk=False,
        unsubscribe=False,
        auto_submitted=True,
        calendar=True,
    ),
    MailingKind.DATE_FIXED: Traits(
        rank=10,
        policy=_RETRY,
        lifetime=3 * _DAY,
        bulk=False,
        unsubscribe=False,
        auto_submitted=True,
        calendar=True,
    ),
    MailingKind.POSTPONED: Traits(
        rank=10,
        policy=_RETRY,
        lifetime=3 * _DAY,
        bulk=False,
        unsubscribe=False,
        auto_submitted=True,
        calendar=True,
    ),
    MailingKind.CANCELLATION: Traits(
        rank=10,
        policy=_RETRY,
        lifetime=3 * _DAY,
        bulk=False,
        unsubscribe=False,
        auto_submitted=True,
        calendar=True,
    ),
    MailingKind.REMINDER: Traits(
        rank=20, policy=_RETRY, lifetime=3 * _DAY, bulk=False, unsubscribe=True, auto_submitted=True
    ),
    MailingKind.FOLLOW_UP: Traits(
        rank=30, policy=_RETRY, lifetime=_DAY, bulk=False, unsubscribe=True, auto_submitted=True
    ),
    MailingKind.WELCOME: Traits(
        rank=30, policy=_RETRY, lifetime=_DAY, bulk=False, unsubscribe=True, auto_submitted=True
    ),
    MailingKind.STATEMENT_ALERT: Traits(
        rank=40, policy=_HOLD, lifetime=3 * _DAY, bulk=True, unsubscribe=True, auto_submitted=False
    ),
    MailingKind.DIGEST: Traits(
        rank=40, policy=_HOLD, lifetime=3 * _DAY, bulk=True, unsubscribe=True, auto_submitted=False
    ),
    MailingKind.CORRECTION: Traits(
        rank=40,
        policy=_HOLD,
        lifetime=3 * _DAY,
        bulk=True,
        unsubscribe=True,
        auto_submitted=False,
        answers=True,
    ),
    MailingKind.RETRACTION: Traits(
        rank=40,
        policy=_HOLD,
        lifetime=3 * _DAY,
        bulk=True,
        unsubscribe=True,
        auto_submitted=False,
        answers=True,
    ),
    MailingKind.TRANSLATION: Traits(
        rank=45,
        policy=_HOLD,
        lifetime=3 * _DAY,
        bulk=True,
        unsubscribe=True,
        auto_submitted=False,
        answers=True,
    ),
    MailingKind.CAMPAIGN: Traits(
        rank=50, policy=_HOLD, lifetime=3 * _DAY, bulk=True, unsubscribe=True, auto_submitted=False
    ),
}
