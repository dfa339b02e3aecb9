"""Preflight: what can be known of an alert before its time: its readers, and that each form compiles."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.services.house import House
from mailer.services.sending.compose import build_form
from mailer.services.sending.content import read_content
from mailer.services.sending.texts import Text, language_of, text_ahead
from mailer.services.sending.variant import Variant
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
    languages: Counter[str] = Counter()
    compiled: set[tuple[str, Text]] = set()
    for wished, readers in wishes_of_readers(session, mailing).items():
        language, text = language_of(wished), text_ahead(session, mailing, wished)
        languages[language] += readers
        if text is None or (language, text) in compiled:
            continue
        compiled.add((language, text))
        content = read_content(session, house, mailing, language, variant=Variant(text=text))
        build_form(house, mailing.kind, language, content, label=mailing.key, calendar=False)
    return Preflight(languages=dict(sorted(languages.items())))


def wishes_of_readers(session: Session, mailing: Mailing) -> dict[str, int]:
    """The confirmed readers of the mailing's topic by their lists of languages, as JSON."""
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
    return {wish or "[]": count for wish, count in wishes}
