"""A test mail: a campaign's proof, sent to one of the staff by a connection of its own."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from mailer.db.mailings import Campaign
from mailer.services.desk import campaigns
from mailer.services.house import House
from mailer.services.sending.departure import open_engine
from mailer.services.sending.shares import Shares
from mailer.smtp.letter import Letter
from mailer.smtp.outcome import Verdict
from mailer.smtp.relay import RelayError


@dataclass(frozen=True)
class Trial:
    """Whether the relay took it, and why not in the words that may be shown."""

    sent: bool
    why: str


def send_test(
    session: Session, house: House, campaign: Campaign, *, address: str, language: str, now: datetime
) -> Trial:
    """Send one test mail and wait for its outcome. No row is made, and it stands in no count."""
    data = campaigns.proof(
        session, house, campaign, language=language, address=address, name=None, now=now, test=True
    )
    return send_proof(house, data, address=address, now=now)


def send_proof(house: House, data: bytes, *, address: str, now: datetime) -> Trial:
    """Send a proof to one of the staff. Raises CampaignRefusal for any other address, else RelayError."""
    campaigns.check_test_address(house, address)
    if not house.settings.smtp_url:
        raise RelayError("No relay is named. Set MAILER_SMTP_URL, for example smtp://user:password@host:587")
    letter = Letter(id=0, fence=0, sender=house.settings.from_address, recipient=address, data=data)
    with open_engine(house, None, shares=Shares("trial"), clock=lambda: now, connections=1) as engine:
        ((_, outcome),) = engine.send([letter])
    return Trial(outcome.verdict is Verdict.SENT, f"{outcome.reason.value} {outcome.text}".strip())
