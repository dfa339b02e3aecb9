"""Content: what a mailing says, read from the database once per mailing and language.

The facts are put into words here and rendered into a form; from then on nobody
looks at the content again, each recipient only fills the form's slots.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.mailings import Campaign, Mailing
from mailer.db.people import Topic
from mailer.db.programme import ReminderRule, Symposium, SymposiumVersion
from mailer.db.texts import OF_A_STATEMENT
from mailer.messages import words
from mailer.messages.catalogues import still_open
from mailer.messages.facts import (
    AskedFor,
    CampaignFacts,
    CancellationFacts,
    ChangeFacts,
    DateFixedFacts,
    Facts,
    FollowUpFacts,
    OptInFacts,
    PostponedFacts,
    RegistrationFacts,
    RegistrationRequestFacts,
    ReminderFacts,
    SymposiumFacts,
    Tense,
    WaitingListFacts,
    WelcomeFacts,
    WithdrawalFacts,
)
from mailer.messages.slots import expand_placeholders
from mailer.services.house import House
from mailer.services.sending.invitation import announced_end, has_day, has_hour, is_online
from mailer.services.sending.notice import as_told, changes, same_time
from mailer.services.sending.statement_content import digest_mail, statement_mail, topic_name
from mailer.services.sending.variant import Variant
from mailer.vocabulary import EndSource, MailingKind, Precision, RuleTiming


@dataclass(frozen=True, kw_only=True)
class Reader:
    """What a mail to attendees depends on beside its language: what they were told, and whether they came.

    `kind`: the notice it is to them. `told`: the facts of their last mail, None where nobody knows.
    `entered`: what a mail that ends an entry takes out of their calendar. `joining`: the way into the room
    stands in it. `seated`: they have a place and do not wait for one. `at`: when it leaves.
    """

    kind: MailingKind | None = None
    told: SymposiumVersion | None = None
    entered: Symposium | None = None
    came: bool | None = None
    joining: bool = False
    seated: bool = True
    at: datetime | None = None


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
    variant: Variant = Variant(),  # noqa: B008
    reader: Reader | None = None,
) -> Content:
    """Everything the mailing says in one language of the frame to readers of one variant.

    `symposium` is the row as it was claimed: the words, the local time and the calendar part of one
    mail must speak of the same moment even if the symposium moves meanwhile.
    """
    topic = session.get(Topic, mailing.topic_id) if mailing.topic_id else None
    match mailing.kind:
        case kind if kind in OF_A_STATEMENT:
            return Content(
                statement_mail(session, house, mailing, _known(topic), language, variant.text), topic
            )
        case MailingKind.DIGEST:
            told = variant.statements
            return Content(digest_mail(session, house, mailing, _known(topic), language, told), topic)
        case MailingKind.CAMPAIGN:
            campaign = session.get_one(Campaign, mailing.campaign_id)
            return Content(campaign_facts(campaign, _known(topic), language), topic)
        case MailingKind.OPT_IN:
            return Content(OptInFacts(topic_name=topic_name(_known(topic), language)), topic)
        case MailingKind.WELCOME:
            return Content(WelcomeFacts(topic_names=(topic_name(_known(topic), language),)), topic)
        case _:
            known = symposium or session.get_one(Symposium, mailing.symposium_id)
            facts = _symposium_mail(session, house, mailing, known, language, reader or Reader())
            return Content(facts, topic)


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
    reader: Reader,
) -> Facts:
    facts = symposium_facts(house, symposium, language)
    match reader.kind or mailing.kind:
        case MailingKind.REGISTRATION_REQUEST:
            asked = _asked_for(session, mailing, symposium, language, reader.at)
            return RegistrationRequestFacts(symposia=asked)
        case MailingKind.REGISTRATION_CONFIRMATION:
            promoted = bool(mailing.facts.get("promoted"))
            return RegistrationFacts(
                symposium=facts,
                joining=reader.joining,
                promoted=promoted,
                tense=_tense(symposium, reader.at),
            )
        case MailingKind.WAITING_LIST:
            return WaitingListFacts(symposium=_without_calendar(facts))
        case MailingKind.WITHDRAWAL:
            return WithdrawalFacts(
                symposium=_without_calendar(facts), invited=bool(mailing.facts.get("invited"))
            )
        case MailingKind.REMINDER:
            rule = session.get_one(ReminderRule, mailing.rule_id)
            return ReminderFacts(symposium=facts, lead=_lead(rule), joining=reader.joining)
        case MailingKind.CHANGE | MailingKind.DATE_FIXED | MailingKind.POSTPONED as notice:
            return _notice(notice, reader, symposium, facts, language)
        case MailingKind.FOLLOW_UP:
            return FollowUpFacts(symposium=facts, came=reader.came, recording_url=symposium.recording_url)
        case MailingKind.CANCELLATION:
            told = reader.told
            known = symposium_facts(house, as_told(symposium, told), language) if told else facts
            return CancellationFacts(
                symposium=replace(known, series=facts.series),
                reason=mailing.facts.get("reason"),
                waiting=not reader.seated,
            )
        case _:
            raise LookupError(f"There is no content for a mailing of kind {mailing.kind}.")


def _asked_for(
    session: Session, mailing: Mailing, first: Symposium, language: str, at: datetime | None
) -> tuple[AskedFor, ...]:
    """All the symposia that were asked for at once; the mailing itself belongs to the first."""
    more = mailing.facts.get("more", [])
    rows = session.scalars(select(Symposium).where(Symposium.id.in_(more))).unique()
    in_order = sorted((first, *rows), key=lambda one: (one.day or date.max, one.id))
    return tuple(
        AskedFor(
            title=one.title,
            when=_in_words(one.precision, one, language),
            language=one.language,
            tense=_tense(one, at),
        )
        for one in in_order
    )


def _tense(symposium: Symposium, at: datetime | None) -> Tense:
    """Whether it runs when the mail leaves; what is over by then is not sent."""
    begun = symposium.starts_at is not None and at is not None and symposium.starts_at <= at
    return Tense.UNDER_WAY if begun else Tense.BEFORE


def _without_calendar(facts: SymposiumFacts) -> SymposiumFacts:
    """For those who have no place: nothing that invites them to write it into their calendar."""
    return replace(facts, calendar_url=None, end_assumed=False)


def _notice(
    kind: MailingKind,
    reader: Reader,
    symposium: Symposium,
    facts: SymposiumFacts,
    language: str,
) -> Facts:
    """What differs from what they were told; where nobody knows that, what is true now."""
    told, waiting = reader.told, not reader.seated
    facts = _without_calendar(facts) if waiting else facts
    if kind is MailingKind.DATE_FIXED:
        return DateFixedFacts(symposium=facts, waiting=waiting)
    old = _in_words(told.precision, told, language) if told else None
    if kind is MailingKind.POSTPONED:
        return PostponedFacts(symposium=facts, old_when=old, old_local=has_hour(told), waiting=waiting)
    if told is None:
        return ChangeFacts(symposium=facts, told=False, waiting=waiting)
    return ChangeFacts(
        symposium=facts,
        old_when=None if same_time(told, symposium) else old,
        old_local=has_hour(told) and not same_time(told, symposium),
        changes=changes(told, symposium, language),
        waiting=waiting,
    )


def _lead(rule: ReminderRule) -> str | None:
    """The rule's distance to the start, as "1w", "2d" or "90m"."""
    if rule.timing is RuleTiming.DAYS_BEFORE and rule.days:
        return f"{rule.days // 7}w" if rule.days % 7 == 0 else f"{rule.days}d"
    if rule.timing is RuleTiming.MINUTES_BEFORE:
        return f"{rule.minutes // 60}h" if rule.minutes % 60 == 0 else f"{rule.minutes}m"
    return None


def symposium_facts(house: House, symposium: Symposium, language: str) -> SymposiumFacts:
    """A symposium in the words of one language: its own time first, in its own zone."""
    exact = symposium.starts_at is not None and symposium.zone is not None
    return SymposiumFacts(
        title=symposium.title,
        when=_in_words(symposium.precision, symposium, language),
        offset=words.offset_words(symposium.starts_at, symposium.zone) if exact else None,  # type: ignore[arg-type]
        page_url=house.url("symposia", symposium.slug),
        calendar_url=house.url("symposia", f"{symposium.slug}.ics") if has_day(symposium) else None,
        converter_url=house.url("time", symposium.slug) if exact else None,
        language=symposium.language,
        series=symposium.series.name if symposium.series else None,
        where=symposium.place,
        online=is_online(symposium),
        end_assumed=exact and symposium.end_source is EndSource.ASSUMED,
    )


def _in_words(precision: Precision, moment: Symposium | SymposiumVersion, language: str) -> str:
    day: date | None = moment.day
    return words.in_words(
        precision,
        day=day,
        time=moment.wall_time,
        zone=moment.zone or "UTC",
        language=language,
        tba=still_open(language, day_known=precision is Precision.DATE),
        with_offset=True,
        ends_at=announced_end(moment),
    )
