"""Commands for a statement on its way to the public: review, approval, embargo, and what may become of it."""

from datetime import date, datetime, time
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from mailer.cli import terminal
from mailer.cli.statements import Which, statement
from mailer.db.programme import Statement
from mailer.services.audience import people
from mailer.services.desk.trial import send_proof
from mailer.services.house import House
from mailer.services.programme import embargo, review, statements
from mailer.services.programme.embargo import TOPIC
from mailer.services.sending import proofs
from mailer.services.sending.embargo_time import TimeRefusal, WallMoment, in_words, moment
from mailer.services.sending.embargo_time import Which as Reading
from mailer.services.sending.preflight import Preflight
from mailer.vocabulary import EmbargoWish

At = Annotated[str, typer.Option("--at", help='The wall time, such as "2026-12-01 09:00" or "... 09:00:30".')]
Zone = Annotated[
    str | None, typer.Option(help="Its IANA zone, such as Asia/Yerevan; else the organisation's own.")
]
Choice = Annotated[
    Reading | None, typer.Option("--which", help="For a time that clocks skip or pass twice: which is meant.")
]
Language = Annotated[str, typer.Option(help="Language of the mail's frame.")]

__all__ = ["statement"]  # the group these commands join

LONGEST_EXPIRY = 4 * 24 * 60  # minutes


@statement.command("review")
@terminal.command
def ask_for_review(which: Which) -> None:
    """Put a draft before the staff; another of them approves it."""
    with terminal.house().database.write() as session:
        found = statements.find(session, which)
        review.ask(session, found, actor=terminal.actor(), now=terminal.now())
        mark = review.mark(session, found)
    terminal.say(f"In review. Another of the staff reads it: mailer statement preview {which}")
    terminal.say(f"and approves it: mailer statement approve {which} --text {mark}")


@statement.command("approve")
@terminal.command
def approve(
    which: Which,
    as_read: Annotated[
        str | None, typer.Option("--text", help="The mark of the text that was read; no other is approved.")
    ] = None,
) -> None:
    """Approve the text as it is now, or what somebody asked for its embargo."""
    house = terminal.house()
    with house.database.write() as session:
        found, now = _locked(session, which)
        done = embargo.approve(session, house, found, actor=terminal.actor(), now=now, as_read=as_read)
    said = {
        None: "Approved, exactly as it stands. Every change takes the approval away.",
        EmbargoWish.LIFT: "Lifted: the page is public, and its alert is leaving.",
        EmbargoWish.MOVE: "Moved. Look with: mailer statement embargo",
        EmbargoWish.DROP: "Dropped: it is a draft again, and nobody got anything.",
    }
    terminal.say(said[done])


@statement.command("refuse")
@terminal.command
def refuse(which: Which) -> None:
    """Refuse what somebody asked for its embargo, or send a statement in review back to its author."""
    with terminal.house().database.write() as session:
        found, now = _locked(session, which)
        embargo.refuse(session, found, actor=terminal.actor(), now=now)
    terminal.say("Refused; nothing else has changed.")


@statement.command("schedule")
@terminal.command
def schedule(
    which: Which,
    at: At,
    zone: Zone = None,
    reading: Choice = None,
    expires: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=LONGEST_EXPIRY,
            help="Minutes after it until which its mails may leave; else 3 days.",
        ),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also when it is much like a statement that was sent before.")
    ] = False,
) -> None:
    """Put an approved statement under embargo: page and alert open at that moment and not before."""
    house = terminal.house()
    until = _moment(house, at, zone, reading)
    with house.database.write() as session:
        found, now = _locked(session, which)
        mailing, checked = embargo.schedule(
            session,
            house,
            found,
            until,
            actor=terminal.actor(),
            now=now,
            expires_minutes=expires,
            anyway=anyway,
        )
        key = mailing.key
    terminal.say(f"Under embargo until {in_words(until.instant, until.zone)}.")
    terminal.say(_readers(checked))
    terminal.say(f"Follow its alert with: mailer mailing show {key}")


def _readers(checked: Preflight) -> str:
    each = ", ".join(f"{language} {count:,}" for language, count in checked.languages.items())
    return f"{checked.readers:,} readers now ({each or 'none'}); whoever joins until then gets it, too."


@statement.command("lift")
@terminal.command
def lift(which: Which) -> None:
    """Lift an embargo early: page and alert open now. Needs approval where somebody else is there."""
    _wish(which, EmbargoWish.LIFT)


@statement.command("move-embargo")
@terminal.command
def move(which: Which, at: At, zone: Zone = None, reading: Choice = None) -> None:
    """Move an embargo to another time. Needs approval; until then it does not open."""
    _wish(which, EmbargoWish.MOVE, _moment(terminal.house(), at, zone, reading))


@statement.command("drop")
@terminal.command
def drop(which: Which) -> None:
    """Call a publication off: it is a draft again. Needs approval; until then the embargo does not open."""
    _wish(which, EmbargoWish.DROP)


def _wish(which: str, what: EmbargoWish, to: WallMoment | None = None) -> None:
    house = terminal.house()
    with house.database.write() as session:
        found, now = _locked(session, which)
        done = embargo.wish(session, house, found, what, actor=terminal.actor(), now=now, to=to)
    if done:
        terminal.say("Done: you are the only one of the staff whom this house knows.")
        return
    held = "" if what is EmbargoWish.LIFT else " Until then the embargo does not open by itself."
    terminal.say(f"Asked. Another of the staff decides: mailer statement approve {which}.{held}")


@statement.command("embargo")
@terminal.command
def list_embargoes() -> None:
    """All statements under embargo: until when, and what holds them."""
    with terminal.house().database.read() as session:
        rows = [
            (
                str(one.id),
                in_words(until.opens_at, until.zone),
                until.held.value if until.held else "",
                str(until.asked["what"]) if until.asked else "",
            )
            for one, until in embargo.waiting(session)
        ]
    terminal.table("Under embargo", ("statement", "until", "held", "asked"), rows)


@statement.command("preview")
@terminal.command
def preview(
    which: Which,
    language: Language = "en",
    html: Annotated[Path | None, typer.Option(help="Write the HTML part to this file.")] = None,
) -> None:
    """Print the alert as one reader would get it, its subject marked as a test."""
    house = terminal.house()
    data = _proof(house, which, language, "reader@example.org")
    message = message_from_bytes(data, policy=policy.default)
    if html is not None:
        html.write_text(_part(message, "html"), encoding="utf-8")
    terminal.say(f"Subject: {message['Subject']}\n\n{_part(message, 'plain')}")
    with house.database.read() as session:
        mark = review.mark(session, statements.find(session, which))
    terminal.notes.print(f"Its mark, by which it is approved: {mark}")


@statement.command("test")
@terminal.command
def send_to_staff(
    which: Which,
    to: Annotated[str, typer.Option(help="The contact address or one of MAILER_STAFF_ADDRESSES.")],
    language: Language = "en",
) -> None:
    """Send the alert to one of the staff, marked as a test and counted nowhere."""
    house = terminal.house()
    data = _proof(house, which, language, to)
    outcome = send_proof(house, data, address=to, now=terminal.now())
    if not outcome.sent:
        terminal.fail(f"The relay did not take the test mail: {outcome.why}")
    terminal.say("The relay took the test mail.")


def _proof(house: House, which: str, language: str, address: str) -> bytes:
    with house.database.read() as session:
        return proofs.of_statement(
            session,
            house,
            statements.find(session, which),
            people.topic(session, TOPIC),
            language=language,
            address=address,
            name=None,
            now=terminal.now(),
        )


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body(preferencelist=(kind,))
    return str(body.get_content()) if body is not None else ""


def _locked(session: Session, which: str) -> tuple[Statement, datetime]:
    """The statement, its alert locked against every claim, and the moment after that."""
    found = statements.find(session, which)
    embargo.locked(session, found)
    return found, terminal.now()


def _moment(house: House, at: str, zone: str | None, reading: Reading | None) -> WallMoment:
    day, _, clock = at.strip().replace("T", " ").partition(" ")
    try:
        when, hour = date.fromisoformat(day), time.fromisoformat(clock.strip())
    except ValueError:
        raise TimeRefusal(
            f'"{at[:40]}" is no wall time. Write day and time, such as "2026-12-01 09:00", and the zone with '
            f"--zone."
        ) from None
    if hour.tzinfo is not None:
        raise TimeRefusal("Write the wall time without an offset, and its zone with --zone.")
    return moment(when, hour.replace(microsecond=0), zone or house.settings.zone, reading)
