"""Preflight: what can be known of an alert before its time: its readers, and that each form compiles."""

import json
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.services.house import House
from mailer.services.sending.compose import build_form
from mailer.services.sending.content import choose_language, read_content
from mailer.vocabulary import SubscriptionState


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """How many confirmed readers there are now, in which language of the frame."""

    languages: dict[str, int] = field(default_factory=dict)

    @property
    def readers(self) -> int:
        return sum(self.languages.values())


def preflight(session: Session, house: House, mailing: Mailing) -> Preflight:
    """Count the readers and compile the form of each language they read. Raises FormError for the first
    that breaks a rule, LookupError for a statement without a text."""
    languages = languages_of_readers(session, mailing)
    for language in languages:
        content = read_content(session, house, mailing, language)
        build_form(house, mailing.kind, language, content, label=mailing.key, calendar=False)
    return Preflight(languages=languages)


def languages_of_readers(session: Session, mailing: Mailing) -> dict[str, int]:
    """The confirmed readers of the mailing's topic by the language they are written to in."""
    wishes = session.execute(
        select(cast(Subscriber.languages, String), func.count())
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(
            Subscription.topic_id == mailing.topic_id,
            Subscription.state == SubscriptionState.CONFIRMED,
            Subscriber.suppressed.is_(None),
        )
        .group_by(cast(Subscriber.languages, String))
    )
    found: Counter[str] = Counter()
    for wish, count in wishes:
        found[choose_language(json.loads(wish or "[]"))] += count
    return dict(sorted(found.items()))
