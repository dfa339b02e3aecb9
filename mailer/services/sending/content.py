"""Content: what a mailing says, read from the database once per mailing and language.

The facts are put into words here and rendered into a form; from then on nobody
looks at the content again, each recipient only fills the form's slots.
"""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.mailings import Campaign, Mailing
from mailer.db.people import Topic
from mailer.db.programme import ReminderRule, Symposium, SymposiumDate
from mailer.db.texts import OF_A_STATEMENT
from mailer.messages import words
from mailer.messages.catalogues import still_open
from mailer.messages.facts import (
    CampaignFacts,
    CancellationFacts,
    ChangeFacts,
    Facts,
    OptInFacts,
    RegistrationFacts,
    ReminderFacts,
    SymposiumFacts,
    WelcomeFacts,
)
from mailer.messages.slots import expand_placeholders
from mailer.services.house import House
from mailer.services.sending.statement_content import statement_mail, topic_name
from mailer.services.sending.texts import Text
from mailer.vocabulary import EndSource, MailingKind, Precision

PLACEHOLDERS = frozenset({"first_name"})


@dataclass(frozen=True)
class Content:
    """Facts in one language, and the topic whose list the mail belongs to (None: no list)."""

    facts: Facts
    topic: Topic | None


def read_content(
    session: Session,
    house: House,
    mailing: Mailing,
    language: str,
    *,
    symposium: Symposium | None = None,
    told_generation: int | None = None,
    text: Text | None = None,
) -> Content:
    """Everything the mailing says in one language of the frame, to those who were told that date before.

    `symposium` is the row as it was claimed: the words, the local time and the calendar part of one
    mail must speak of the same moment even if the symposium moves meanwhile. `text` is the statement's
    text that the claim chose, for kinds that carry one.
    """
    topic = session.get(Topic, mailing.topic_id) if mailing.topic_id else None
    match mailing.kind:
        case kind if kind in OF_A_STATEMENT:
            return Content(statement_mail(session, house, mailing, _known(topic), language, text), topic)
        case MailingKind.CAMPAIGN:
            campaign = session.get_one(Campaign, mailing.campaign_id)
            return Content(campaign_facts(campaign, _known(topic), language), topic)
        case MailingKind.OPT_IN:
            return Content(OptInFacts(topic_name=topic_name(_known(topic), language)), topic)
        case MailingKind.WELCOME:
            return Content(WelcomeFacts(topic_names=(topic_name(_known(topic), language),)), topic)
        case _:
            known = symposium or session.get_one(Symposium, mailing.symposium_id)
            return Content(_symposium_mail(session, house, mailing, known, language, told_generation), topic)


def campaign_facts(campaign: Campaign, topic: Topic, language: str) -> CampaignFacts:
    """A campaign's own words, its placeholders turned into slots."""
    return CampaignFacts(
        subject=expand_placeholders(campaign.subject, PLACEHOLDERS),
        body=expand_placeholders(campaign.body, PLACEHOLDERS),
        body_language=campaign.language,
        topic_name=topic_name(topic, language),
        fallback=campaign.language != language,
    )


def _known(topic: Topic | None) -> Topic:
    if topic is None:
        raise LookupError("This mailing has no topic although its kind needs one.")
    return topic


def _symposium_mail(
    session: Session,
    house: House,
    mailing: Mailing,
    symposium: Symposium,
    language: str,
    told_generation: int | None,
) -> Facts:
    facts = symposium_facts(house, symposium, language)
    match mailing.kind:
        case MailingKind.REGISTRATION_CONFIRMATION:
            return RegistrationFacts(symposium=facts)
        case MailingKind.REMINDER:
            rule = session.get_one(ReminderRule, mailing.rule_id)
            return ReminderFacts(symposium=facts, lead=rule.key)
        case MailingKind.CHANGE:
            told = _date_of(session, symposium.id, told_generation or symposium.generation)
            old = _in_words(told.precision, told, language)
            return ChangeFacts(symposium=facts, old_when=old)
        case MailingKind.CANCELLATION:
            return CancellationFacts(symposium=facts, reason=mailing.facts.get("reason"))
        case _:
            raise LookupError(f"There is no content for a mailing of kind {mailing.kind}.")


def _date_of(session: Session, symposium_id: int, generation: int) -> SymposiumDate:
    return session.scalars(
        select(SymposiumDate).where(
            SymposiumDate.symposium_id == symposium_id, SymposiumDate.generation == generation
        )
    ).one()


def symposium_facts(house: House, symposium: Symposium, language: str) -> SymposiumFacts:
    """A symposium in the words of one language: its own time first, in its own zone."""
    exact = symposium.starts_at is not None and symposium.zone is not None
    return SymposiumFacts(
        title=symposium.title,
        when=_in_words(symposium.precision, symposium, language),
        offset=words.offset_words(symposium.starts_at, symposium.zone) if exact else None,  # type: ignore[arg-type]
        page_url=house.url("symposia", symposium.slug),
        calendar_url=house.url("symposia", f"{symposium.slug}.ics") if symposium.day and exact else None,
        language=symposium.language,
        series=symposium.series.name if symposium.series else None,
        where=symposium.place,
        end_assumed=symposium.end_source is EndSource.ASSUMED,
    )


def _in_words(precision: Precision, moment: Symposium | SymposiumDate, language: str) -> str:
    day: date | None = moment.day
    return words.in_words(
        precision,
        day=day,
        time=moment.wall_time,
        zone=moment.zone or "UTC",
        language=language,
        tba=still_open(language, day_known=precision is Precision.DATE),
        with_offset=True,
    )
