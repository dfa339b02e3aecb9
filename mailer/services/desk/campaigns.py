"""Campaigns: staff draft one, look at it, try it on themselves, and send it once.

It goes to a topic, or to one part of an earlier mailing's receipt: those of it who want
the topic. A part that still changes is nobody's audience.
"""

import re
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.db import receipts
from mailer.db.audience import UNFINISHED
from mailer.db.mailings import Campaign, Mailing
from mailer.db.people import Subscriber, Subscription, Topic
from mailer.messages import templates
from mailer.messages.slots import expand_placeholders
from mailer.services import audit
from mailer.services.audience import people
from mailer.services.desk import mailings
from mailer.services.house import House
from mailer.services.sending.announce import Announcement, announce
from mailer.services.sending.compose import build_form
from mailer.services.sending.content import PLACEHOLDERS, Content, campaign_facts
from mailer.services.sending.proofs import fill
from mailer.vocabulary import CampaignState, MailingKind, MailingState, ReceiptPart, SubscriptionState

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
    topic: str | None,
    language: str,
    now: datetime,
    to: str | None = None,
    part: ReceiptPart | None = None,
) -> Campaign:
    """Store a draft, or change the one with this key. Its placeholders are checked at once.

    `to` and `part` name a part of an earlier mailing's receipt; its topic is taken when none is named.
    Raises CampaignRefusal, slots.UnknownPlaceholder, people.UnknownTopic or mailings.UnknownMailing;
    nothing is stored then.
    """
    _check(key, subject, body, language)
    found = session.scalars(select(Campaign).where(Campaign.key == key)).one_or_none()
    if found is not None and found.state is CampaignState.SENT:
        raise CampaignRefusal(
            f'The campaign "{key}" has been sent and stays as it was. Draft it under a new name.'
        )
    campaign = found or Campaign(key=key, created_at=now)
    campaign.subject, campaign.body = subject, body
    earlier = _earlier(session, to, part)
    campaign.topic_id, campaign.language = _topic_id(session, topic, earlier), language
    campaign.receipt_of, campaign.receipt_part = earlier.id if earlier else None, part
    session.add(campaign)
    session.flush()
    return campaign


def _earlier(session: Session, to: str | None, part: ReceiptPart | None) -> Mailing | None:
    if (to is None) is not (part is None):
        raise CampaignRefusal(
            "Name both the earlier mailing and its part: --to KEY --part reached, unreached or doubtful."
        )
    return mailings.find(session, to) if to is not None else None


def _topic_id(session: Session, topic: str | None, earlier: Mailing | None) -> int:
    if topic is not None:
        return people.topic(session, topic).id
    if earlier is None or earlier.topic_id is None:
        raise CampaignRefusal("Name the topic that it belongs to with --topic: readers can leave that topic.")
    return earlier.topic_id


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
    return fill(house, form, language=language, address=address, name=name, now=now)


def check_test_address(house: House, address: str) -> None:
    """Raise CampaignRefusal unless test mails may go there: none may reach a subscriber by mistake."""
    if address.lower() not in house.settings.test_addresses:
        raise CampaignRefusal(
            "Test mails go only to the contact address or to those listed in MAILER_STAFF_ADDRESSES. "
            "Add this address there first."
        )


def audience_size(session: Session, campaign: Campaign) -> int:
    """How many people would get it now: confirmed subscribers of its topic, in the part it is meant for."""
    readers = (
        select(func.count())
        .select_from(Subscription)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(
            Subscription.topic_id == campaign.topic_id,
            Subscription.state == SubscriptionState.CONFIRMED,
            Subscriber.suppressed.is_(None),
        )
    )
    if campaign.receipt_of is not None and campaign.receipt_part is not None:
        part = receipts.members(campaign.receipt_of, campaign.receipt_part)
        readers = readers.where(Subscriber.id.in_(part))
    return session.scalar(readers) or 0


def send(
    session: Session,
    house: House,
    campaign: Campaign,
    *,
    actor: str,
    now: datetime,
    undo_seconds: int | None = None,
    spread_seconds: int = 0,
) -> Mailing:
    """Announce the campaign. Sending twice is one mailing; the text is frozen from now on.

    `undo_seconds`: how long its first mail is held back, else the house's setting. `spread_seconds`: the
    window over which its mails fall due. Raises CampaignRefusal when its audience still changes.
    """
    if campaign.state is not CampaignState.SENT:
        _check_audience_is_settled(session, campaign)
        campaign.state = CampaignState.SENT
        audit.record(session, actor=actor, action="campaign-sent", subject=f"campaign:{campaign.id}", now=now)
    announcement = Announcement(
        key=f"campaign:{campaign.id}",
        kind=MailingKind.CAMPAIGN,
        topic_id=campaign.topic_id,
        campaign_id=campaign.id,
        undo_seconds=house.settings.undo_seconds if undo_seconds is None else undo_seconds,
        spread_seconds=spread_seconds,
    )
    return announce(session, house, announcement, now)


def _check_audience_is_settled(session: Session, campaign: Campaign) -> None:
    """Nobody may fall between two mailings, or get both, because the earlier one is still moving."""
    if campaign.receipt_of is None:
        return
    earlier = session.get_one(Mailing, campaign.receipt_of)
    may_go_on = campaign.receipt_part is not ReceiptPart.REACHED and earlier.state is MailingState.PAUSED
    if earlier.state in UNFINISHED - {MailingState.PAUSED} or may_go_on:
        raise CampaignRefusal(
            f"{earlier.key} is {earlier.state.value}, so who belongs to this part still changes. "
            f"Let it end, or stop it first: mailer mailing cancel {earlier.key}"
        )
    flying = receipts.in_flight(session, earlier.id)
    if flying:
        raise CampaignRefusal(
            f"{flying:,} mails of {earlier.key} are still on the wire. Ask again in a moment with: "
            f"mailer mailing receipt {earlier.key}"
        )
