"""The undo window in words: until when nobody has the mail, and how to take it back."""

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from mailer.cli import terminal
from mailer.db.mailings import Mailing
from mailer.vocabulary import MailingState

LONGEST = 86_400  # seconds

Undo = Annotated[
    int | None,
    typer.Option(
        "--undo", min=0, max=LONGEST, help="Seconds in which it can be taken back; else MAILER_UNDO_SECONDS."
    ),
]


def tell(mailing: Mailing, zone: str, now: datetime) -> None:
    """Say until when it can be taken back, when it still can."""
    if mailing.opens_at <= now or mailing.state is MailingState.CANCELLED:
        return
    until = mailing.opens_at.astimezone(ZoneInfo(zone))
    terminal.say(
        f"Nobody gets it before {until:%H:%M:%S %Z}. Until then, take it back with: "
        f"mailer mailing cancel {mailing.key}"
    )
