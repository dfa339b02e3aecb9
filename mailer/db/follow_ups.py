"""Which mails after the end people had, have in a worker's hands, or may have had."""

from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.dialect import one_of
from mailer.db.mailings import REACHED, Delivery, Mailing
from mailer.db.programme import Registration
from mailer.vocabulary import DeliveryState, MailingKind, RuleAudience

_HAD = REACHED | {DeliveryState.IN_DOUBT, DeliveryState.CLAIMED}


class FollowUp(NamedTuple):
    """One of somebody's mails after the end. `on_its_way`: a worker holds it, and it may still not leave."""

    mailing_id: int
    generation: int | None
    audience: str
    on_its_way: bool


def hold(session: Session, registrations: Collection[int]) -> None:
    """Let no other claim decide about these registrations until this one has: of two only one sends."""
    if registrations:
        wanted = select(Registration.id).where(one_of(session, Registration.id, registrations))
        session.execute(wanted.order_by(Registration.id).with_for_update(key_share=True))


def had(session: Session, registrations: Collection[int]) -> dict[int, tuple[FollowUp, ...]]:
    """What there is of these registrations."""
    if not registrations:
        return {}
    rows = session.execute(
        select(Delivery.registration_id, Delivery.state, Mailing.id, Mailing.generation, Mailing.facts)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(
            one_of(session, Delivery.registration_id, registrations),
            Delivery.state.in_(_HAD),
            Mailing.kind == MailingKind.FOLLOW_UP,
        )
    )
    found: defaultdict[int, tuple[FollowUp, ...]] = defaultdict(tuple)
    for registration, state, mailing_id, generation, facts in rows:
        one = FollowUp(mailing_id, generation, audience_of(facts), state is DeliveryState.CLAIMED)
        found[registration or 0] += (one,)
    return dict(found)


def audience_of(facts: dict[str, object]) -> str:
    """Which of the attendees a mailing is for, as its rule said when it was planned."""
    return str(facts.get("audience") or RuleAudience.ALL.value)
