"""Commands for a statement's languages: translate, wait or send now, see who gets what, tell of a new one."""

from pathlib import Path
from typing import Annotated

import typer

from mailer.cli import files, terminal, undo
from mailer.db import digest_texts
from mailer.db import texts as texts_of
from mailer.services.programme import statements, translations
from mailer.services.programme.preflight import Line, preflight

Which = Annotated[str, typer.Argument(help="The statement's slug or number.")]
Language = Annotated[str, typer.Option(help="The language of the translation, such as hy.")]


@terminal.command
def translate(
    which: Which,
    language: Language,
    title: Annotated[str | None, typer.Option(help="The translated title.")] = None,
    file: Annotated[Path | None, typer.Option(help="The translated text in Markdown.")] = None,
    ready: Annotated[bool, typer.Option("--ready", help="Readers may have it from now on.")] = False,
) -> None:
    """Store a translation as a draft, or with --ready let readers have it."""
    body = files.read_text(file) if file else None
    if (title is None) is not (body is None):
        terminal.fail("Give both the title and the file of the translation, or only --ready.")
    if body is None and not ready:
        terminal.fail("Give --title and --file to store a translation, or --ready to let readers have it.")
    house, actor = terminal.house(), terminal.actor()
    with house.database.write() as session:
        found, now, woken = statements.find(session, which), terminal.now(), 0
        if title is not None and body is not None:
            woken = translations.translate(
                session,
                house,
                found,
                language=language,
                title=title,
                body=body,
                ready=ready,
                actor=actor,
                now=now,
            )
        else:
            woken = translations.make_ready(session, house, found, language=language, actor=actor, now=now)
    terminal.say("Ready: who has not been mailed yet gets it." if ready else "Stored as a draft.")
    if woken:
        terminal.say(f"{woken:,} readers were waiting for a translation; their mail goes on.")


@terminal.command
def hold(which: Which, language: Language) -> None:
    """Let readers of a language wait until their translation is there; nobody of them is lost."""
    with terminal.house().database.write() as session:
        found = statements.find(session, which)
        translations.hold(session, found, language=language, actor=terminal.actor(), now=terminal.now())
    terminal.say(
        f"Readers who wish most for {language} wait for their translation. Should they not: "
        f"mailer statement send-now {which} --language {language}"
    )


@terminal.command
def send_now(which: Which, language: Language) -> None:
    """Let readers of a language wait no longer: they get what there is, with a line that says so."""
    with terminal.house().database.write() as session:
        found = statements.find(session, which)
        woken = translations.send_now(
            session, found, language=language, actor=terminal.actor(), now=terminal.now()
        )
    terminal.say(f"Readers of {language} do not wait. {woken:,} were waiting.")


@terminal.command
def available(which: Which, language: Language, undo_seconds: undo.Undo = None) -> None:
    """Send a ready translation to those who wish most for it and got another language. Once."""
    house = terminal.house()
    with house.database.write() as session:
        found = statements.find(session, which)
        mailing = translations.tell_of(
            session,
            house,
            found,
            language=language,
            actor=terminal.actor(),
            now=terminal.now(),
            undo_seconds=undo_seconds,
        )
    terminal.say(f"Announced. Follow it with: mailer mailing show {mailing.key}")
    undo.tell(mailing, house.settings.zone, terminal.now())


@terminal.command
def texts(which: Which) -> None:
    """A statement's languages, how far each is, and who has which text."""
    with terminal.house().database.read() as session:
        found = statements.find(session, which)
        languages = [
            (
                one.language,
                one.state.value,
                "" if one.version is None else str(one.version),
                "wait" if one.holds else "",
            )
            for one in translations.states(session, found)
        ]
        had = [
            (kind, str(version or ""), language or "", state, f"{count:,}")
            for kind, version, language, state, count in texts_of.who_has_what(session, found.id)
        ]
        had += [
            ("digest", str(version or ""), language or "", state, f"{count:,}")
            for version, language, state, count in digest_texts.who_has_what(session, found.id)
        ]
        waiting, version = translations.waiting(session, found), found.version
    terminal.table(f"Texts of version {version}", ("language", "state", "newest", "its readers"), languages)
    if had:
        columns = ("mail", "version", "language", "state", "readers")
        terminal.table("Who has which", columns, had, numbers=("readers",))
    if waiting:
        terminal.say(f"{waiting:,} readers wait for a translation.")


@terminal.command
def languages(which: Which) -> None:
    """Before publishing: how many readers get which language, fall back to another, or wait."""
    with terminal.house().database.read() as session:
        tell(preflight(session, statements.find(session, which)), which)


def tell(lines: list[Line], which: str) -> None:
    """The preflight in a table, and what staff can decide."""
    rows = [
        (
            one.wished or "any",
            one.state.value,
            f"{one.readers:,}",
            "" if one.waits else one.gets,
            _remark(one),
        )
        for one in lines
    ]
    columns = ("wish most for", "translation", "readers", "get it in", "")
    terminal.table("Who gets which language", columns, rows, numbers=("readers",))
    falling = sum(one.readers for one in lines if one.falls_back)
    waiting = sum(one.readers for one in lines if one.waits)
    terminal.say(f"{sum(one.readers for one in lines):,} readers: {falling:,} fall back, {waiting:,} wait.")
    if falling:
        terminal.say(
            f"A mail in another language says so in one line. To let them wait for theirs: "
            f"mailer statement hold {which} --language LANGUAGE"
        )


def _remark(line: Line) -> str:
    if line.waits:
        return "they wait"
    return "falls back" if line.falls_back else ""
