"""What distinguishes the kinds of mailings on their way: one row each, the whole table on one screen."""

from dataclasses import dataclass, replace
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

_ASKED_FOR = Traits(rank=0, policy=_RETRY, lifetime=_DAY, bulk=False, unsubscribe=False, auto_submitted=True)
_OF_A_DATE = replace(_ASKED_FOR, rank=10, lifetime=3 * _DAY, calendar=True)
_REMINDING = Traits(
    rank=20, policy=_RETRY, lifetime=3 * _DAY, bulk=False, unsubscribe=True, auto_submitted=True
)
_TO_THE_LIST = Traits(
    rank=40, policy=_HOLD, lifetime=3 * _DAY, bulk=True, unsubscribe=True, auto_submitted=False
)

TRAITS: dict[MailingKind, Traits] = {
    MailingKind.OPT_IN: _ASKED_FOR,
    MailingKind.REGISTRATION_REQUEST: _ASKED_FOR,
    MailingKind.REGISTRATION_CONFIRMATION: replace(_ASKED_FOR, calendar=True),
    MailingKind.WAITING_LIST: _ASKED_FOR,
    MailingKind.WITHDRAWAL: replace(_OF_A_DATE, rank=0),
    MailingKind.CHANGE: _OF_A_DATE,
    MailingKind.DATE_FIXED: _OF_A_DATE,
    MailingKind.POSTPONED: _OF_A_DATE,
    MailingKind.CANCELLATION: _OF_A_DATE,
    MailingKind.REMINDER: _REMINDING,
    MailingKind.FOLLOW_UP: replace(_REMINDING, rank=30, lifetime=_DAY),
    MailingKind.WELCOME: replace(_REMINDING, rank=30, lifetime=_DAY),
    MailingKind.STATEMENT_ALERT: _TO_THE_LIST,
    MailingKind.DIGEST: _TO_THE_LIST,
    MailingKind.CORRECTION: replace(_TO_THE_LIST, answers=True),
    MailingKind.RETRACTION: replace(_TO_THE_LIST, answers=True),
    MailingKind.TRANSLATION: replace(_TO_THE_LIST, rank=45, answers=True),
    MailingKind.CAMPAIGN: replace(_TO_THE_LIST, rank=50),
}
