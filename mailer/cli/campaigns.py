"""Commands for campaigns: draft, preview, test, send."""

from email import message_from_bytes, policy
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.cli import files, terminal, undo
from mailer.db.mailings import Campaign, Mailing
from mailer.services.desk import campaigns
from mailer.services.desk.trial import send_test
from mailer.vocabulary import CampaignState, ReceiptPart

campaign = typer.Typer(help="Campaigns: one-off mails to a topic, or to a part of it.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The campaign's short name, such as spring-appeal.")]
Language = Annotated[str, typer.Option(help="Language of the mail's frame.")]

LONGEST_WINDOW = 48.0  # hours; a campaign lives three days, and the last mails need time for their tries


@campaign.command("list")
@terminal.command
def list_() -> None:
    """All campaigns."""
    with terminal.house().database.read() as session:
        found = session.scalars(select(Campaign).order_by(Campaign.id)).all()
        rows = [(one.key, one.state.value, one.language, one.subject) for one in found]
    terminal.table("Campaigns", ("name", "state", "language", "subject"), rows)


@campaign.command("draft")
@terminal.command
def draft(
    key: Key,
    file: Annotated[Path, typer.Argument(help="The text in Markdown; ((first_name)) is filled in.")],
    subject: Annotated[str, typer.Option(help="The subject; ((first_name)) is filled in.")],
    topic: Annotated[
        str | None,
        typer.Option(help="The topic whose subscribers get it; with --to, that mailing's if none."),
    ] = None,
    language: Annotated[str, typer.Option(help="Language of the text.")] = "en",
    to: Annotated[
        str | None, typer.Option(help="Write only to a part of this earlier mailing, such as campaign:1.")
    ] = None,
    part: Annotated[ReceiptPart | None, typer.Option(help="Which part of that mailing's receipt.")] = None,
) -> None:
    """Store a draft, or change the one with this name."""
    body = files.read_text(file)
    house = terminal.house()
    with house.database.write() as session:
        campaigns.draft(
            session,
            key=key,
            subject=subject,
            body=body,
            topic=topic,
            language=language,
            now=terminal.now(),
            to=to,
            part=part,
        )
    terminal.say(f"Stored. Look at it with: mailer campaign preview {key}")


@campaign.command("preview")
@terminal.command
def preview(
    key: Key,
    language: Language = "en",
    name: Annotated[
        str | None, typer.Option(help="A reader's name; without it, as for one who gave none.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the HTML part to this file.")] = None,
    eml: Annotated[Path | None, typer.Option(help="Write the whole mail to this file.")] = None,
) -> None:
    """Print the campaign as one reader would get it, made by the functions that send it."""
    house = terminal.house()
    with house.database.read() as session:
        data = campaigns.proof(
            session,
            house,
            campaigns.find(session, key),
            language=language,
            address="reader@example.org",
            name=name,
            now=terminal.now(),
        )
    message = message_from_bytes(data, policy=policy.default)
    if html is not None:
        html.write_text(_part(message, "html"), encoding="utf-8")
    if eml is not None:
        eml.write_bytes(data)
    terminal.say(f"Subject: {message['Subject']}\n\n{_part(message, 'plain')}")


def _part(message: object, kind: str) -> str:
    body = message.get_body(preferencelist=(kind,))  # type: ignore[attr-defined]
    return str(body.get_content())


@campaign.command("test")
@terminal.command
def send_to_staff(
    key: Key,
    to: Annotated[str, typer.Option(help="The contact address or one of MAILER_STAFF_ADDRESSES.")],
    language: Language = "en",
) -> None:
    """Send the campaign to one of the staff, marked as a test and counted nowhere."""
    house = terminal.house()
    with house.database.read() as session:
        found = campaigns.find(session, key)
        outcome = send_test(session, house, found, address=to, language=language, now=terminal.now())
    if not outcome.sent:
        terminal.fail(f"The relay did not take the test mail: {outcome.why}")
    terminal.say("The relay took the test mail.")


@campaign.command("send")
@terminal.command
def send(
    key: Key,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    undo_seconds: undo.Undo = None,
    over: Annotated[
        float, typer.Option(min=0, max=LONGEST_WINDOW, help="Hours over which its mails are spread.")
    ] = 0.0,
) -> None:
    """Send the campaign to its audience. Sending twice is one mailing."""
    house = terminal.house()
    with house.database.read() as session:
        found = campaigns.find(session, key)
        question = _question(session, found)
        again = found.state is CampaignState.SENT
    if not yes and not again:
        typer.confirm(question, abort=True, err=True)
    with house.database.write() as session:
        mailing = campaigns.send(
            session,
            house,
            campaigns.find(session, key),
            actor=terminal.actor(),
            now=terminal.now(),
            undo_seconds=undo_seconds,
            spread_seconds=round(over * 3600),
        )
    _tell(mailing, house.settings.zone, again=again)


def _question(session: Session, found: Campaign) -> str:
    count = campaigns.audience_size(session, found)
    if found.receipt_of is None or found.receipt_part is None:
        return f"Send “{found.subject}” to {count:,} subscribers now?"
    earlier = session.get_one(Mailing, found.receipt_of).key
    return f"Send “{found.subject}” to {count:,} subscribers, the {found.receipt_part} of {earlier}, now?"


def _tell(mailing: Mailing, zone: str, *, again: bool) -> None:
    if again:
        terminal.say(f"It was sent before and goes on as it is: {mailing.state.value}.")
    terminal.say(f"On its way. Follow it with: mailer mailing show {mailing.key}")
    if mailing.spread_seconds:
        terminal.say(f"Its mails are spread over {mailing.spread_seconds / 3600:g} hours.")
    undo.tell(mailing, zone, terminal.now())
