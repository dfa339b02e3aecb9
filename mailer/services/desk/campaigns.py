"""Campaigns: staff draft one, look at it, try it on themselves, and send it to a topic once."""

import re
import secrets
from datetime import datetime
from email.utils import format_datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.db.mailings import Campaign, Mailing
from mailer.db.people import Subscription, Topic
from mailer.messages import templates
from mailer.messages.slots import expand_placeholders
from mailer.services import audit
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.sending.announce import Announcement, announce
from mailer.services.sending.compose import build_form
from mailer.services.sending.content import PLACEHOLDERS, Content, campaign_facts
from mailer.vocabulary import CampaignState, MailingKind, SubscriptionState

LONGEST_BODY = 60_000  # characters; the mail must stay under 100 kB with its frame
LONGEST_SUBJECT = 200


class UnknownCampaign(Exception):
    """No campaign has this name; the message says how to list them."""


class CampaignRefusal(Exception):
    """The campaign cannot be stored or sent as it is; the message says what to change."""


def find(session: Session, key: str) -> Campaign:
    found = session.scalars(select(Campaign).where(Campaign.key == key)).one_or_none()
    if found is None:
        raise UnknownCampaign(f'There is no campaign "{key}". List them with: mailer campaign list')
    return found


def draft(
    session: Session,
    *,
    key: str,
    subject: str,
    body: str,
    topic: str,
    language: str,
    now: datetime,
) -> Campaign:
    """Store a draft, or change the one with this key. Its placeholders are checked at once.

    Raises CampaignRefusal, slots.UnknownPlaceholder or people.UnknownTopic; nothing is stored then.
    """
    _check(key, subject, body, language)
    found = session.scalars(select(Campaign).where(Campaign.key == key)).one_or_none()
    if found is not None and found.state is CampaignState.SENT:
        raise CampaignRefusal(
            f'The campaign "{key}" has been sent and stays as it was. Draft it under a new name.'
        )
    campaign = found or Campaign(key=key, created_at=now)
    campaign.subject, campaign.body = subject, body
    campaign.topic_id, campaign.language = people.topic(session, topic).id, language
    session.add(campaign)
    session.flush()
    return campaign


def _check(key: str, subject: str, body: str, language: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", key):
        raise CampaignRefusal(
            "A campaign's name is short: small letters, digits and hyphens, such as spring-appeal."
        )
    if not 1 <= len(subject.strip()) <= LONGEST_SUBJECT:
        raise CampaignRefusal(f"The subject must have 1 to {LONGEST_SUBJECT} characters.")
    if not 1 <= len(body.strip()) <= LONGEST_BODY:
        raise CampaignRefusal(f"The text must have 1 to {LONGEST_BODY:,} characters.")
    if language not in templates.LANGUAGES:
        raise CampaignRefusal(f"The language must be one of: {', '.join(templates.LANGUAGES)}.")
    for text in (subject, body):
        expand_placeholders(text, PLACEHOLDERS)


def proof(
    session: Session,
    house: House,
    campaign: Campaign,
    *,
    language: str,
    address: str,
    name: str | None,
    now: datetime,
    test: bool = False,
) -> bytes:
    """The campaign's mail as one reader would get it, by the same functions that send it.

    Its links to leave and to preferences lead nowhere: a proof is nobody's subscription.
    """
    topic = session.get_one(Topic, campaign.topic_id)
    content = Content(campaign_facts(campaign, topic, language), topic)
    form = build_form(
        house,
        MailingKind.CAMPAIGN,
        language,
        content,
        label=f"campaign:{campaign.key}",
        calendar=False,
        test=test,
    )
    return form.fill(
        {
            "to_address": address,
            "date": format_datetime(now),
            "message_id": f"<proof.{secrets.token_hex(16)}@{house.sending_domain}>",
            "first_name": name or templates.neutral_name(language),
            "unsubscribe_url": house.url("u", "proof"),
            "unsubscribe_mailto": f"mailto:{house.settings.contact_address}?subject=proof",
            "preferences_url": house.url("p", "proof"),
        }
    )


def check_test_address(house: House, address: str) -> None:
    """Raise CampaignRefusal unless test mails may go there: none may reach a subscriber by mistake."""
    if address.lower() not in house.settings.test_addresses:
        raise CampaignRefusal(
            "Test mails go only to the contact address or to those listed in MAILER_STAFF_ADDRESSES. "
            "Add this address there first."
        )


def audience_size(session: Session, campaign: Campaign) -> int:
    """How many confirmed subscribers the campaign's topic has now."""
    return (
        session.scalar(
            select(func.count()).where(
                Subscription.topic_id == campaign.topic_id, Subscription.state == SubscriptionState.CONFIRMED
            )
        )
        or 0
    )


def send(session: Session, house: House, campaign: Campaign, *, actor: str, now: datetime) -> Mailing:
    """Announce the campaign to its topic. Sending twice is one mailing; the text is frozen from now on."""
    if campaign.state is not CampaignState.SENT:
        campaign.state = CampaignState.SENT
        audit.record(session, actor=actor, action="campaign-sent", subject=f"campaign:{campaign.id}", now=now)
    announcement = Announcement(
        key=f"campaign:{campaign.id}",
        kind=MailingKind.CAMPAIGN,
        topic_id=campaign.topic_id,
        campaign_id=campaign.id,
        undo_seconds=house.settings.undo_seconds,
    )
    return announce(session, house, announcement, now)
