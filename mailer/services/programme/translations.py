"""Translations: a statement's texts in other languages, who waits for them, and who is told of them later.

A translation belongs to one version of the statement. A correction leaves it behind: it
is stale, and is never sent, until it is brought up to the new version.
"""

from dataclasses import dataclass
from datetime import datetime

from babel import Locale, UnknownLocaleError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.db import digest_texts, texts
from mailer.db.audience import UNFINISHED
from mailer.db.mailings import Delivery, Mailing
from mailer.db.programme import Statement, StatementText
from mailer.db.session import hint_after_commit
from mailer.messages import markup
from mailer.messages.slots import refuse_markers
from mailer.services import audit
from mailer.services.house import House
from mailer.services.programme.editing import editing
from mailer.services.programme.refusals import StatementRefusal
from mailer.services.sending.announce import Announcement, announce
from mailer.services.sending.traits import TRAITS
from mailer.vocabulary import MailingKind, StatementState, TextState
from mailer.wake import Task

LONGEST_TITLE = 300
LONGEST_BODY = 60_000  # characters; the mail must stay under 100 kB with its frame


@dataclass(frozen=True, kw_only=True)
class LanguageState:
    """How far one language is. `version`: of its newest text, if there is one."""

    language: str
    state: TextState
    version: int | None
    holds: bool


def states(session: Session, statement: Statement) -> list[LanguageState]:
    """Every language that the statement has or waits for, its own first."""
    newest = _newest(session, statement)
    languages = sorted({*newest, *statement.holds} - {statement.language})
    return [
        LanguageState(
            language=language,
            state=_state(newest.get(language), statement.version),
            version=newest[language].version if language in newest else None,
            holds=language in statement.holds,
        )
        for language in (statement.language, *languages)
    ]


def _newest(session: Session, statement: Statement) -> dict[str, StatementText]:
    found = session.scalars(
        select(StatementText)
        .where(StatementText.statement_id == statement.id, StatementText.version <= statement.version)
        .order_by(StatementText.version)
    )
    return {text.language: text for text in found}


def _state(text: StatementText | None, version: int) -> TextState:
    if text is None:
        return TextState.MISSING
    return text.state if text.version == version else TextState.STALE


def translate(
    session: Session,
    house: House,
    statement: Statement,
    *,
    language: str,
    title: str,
    body: str,
    ready: bool,
    actor: str,
    now: datetime,
) -> int:
    """Store a translation of the version that holds now, as a draft or ready; returns how many it wakes.

    What readers may have had is not changed under them: once ready and published, a text is corrected.
    """
    check_language(language)
    check_text(title, body, language)
    if language == statement.language:
        raise StatementRefusal(
            f"{language} is the statement's own language. Correct it with: mailer statement correct"
        )
    with editing(session, statement, now):
        _store(session, statement, language, title.strip(), body, now)
        _note(session, statement, "translation-stored", language, actor, now)
    return make_ready(session, house, statement, language=language, actor=actor, now=now) if ready else 0


def _store(
    session: Session, statement: Statement, language: str, title: str, body: str, now: datetime
) -> None:
    text = _text(session, statement, language)
    if text is not None and text.state is TextState.READY and statement.published_at is not None:
        raise StatementRefusal(
            "This translation is ready, and readers may have it. What is wrong in it is corrected with: "
            f"mailer statement correct {statement.slug} --language {language} --only"
        )
    if text is None:
        text = StatementText(
            statement_id=statement.id, language=language, version=statement.version, created_at=now
        )
        session.add(text)
    text.title, text.body, text.state, text.created_at = title, body, TextState.DRAFT, now


def make_ready(
    session: Session, house: House, statement: Statement, *, language: str, actor: str, now: datetime
) -> int:
    """Let readers have a translation: who is still to be mailed gets it. Returns how many waited for it."""
    with editing(session, statement, now):
        text = _text(session, statement, language)
        if text is None:
            raise StatementRefusal(
                f"There is no translation into {language} of the text as it stands now. Store it with: "
                f"mailer statement translate {statement.slug} --language {language} --title ... --file ..."
            )
        text.state = TextState.READY
        _note(session, statement, "translation-ready", language, actor, now)
    return wake(session, statement, now)


def hold(session: Session, statement: Statement, *, language: str, actor: str, now: datetime) -> None:
    """Readers who wish most for the language wait until their translation is there."""
    check_language(language)
    if language == statement.language:
        raise StatementRefusal(f"{language} is the statement's own language; nobody need wait for it.")
    if language not in statement.holds:
        statement.holds = sorted([*statement.holds, language])
        _note(session, statement, "translation-awaited", language, actor, now)


def send_now(session: Session, statement: Statement, *, language: str, actor: str, now: datetime) -> int:
    """Readers of the language get what there is; returns how many were waiting."""
    if language in statement.holds:
        statement.holds = [one for one in statement.holds if one != language]
        _note(session, statement, "translation-not-awaited", language, actor, now)
        session.flush()
    return wake(session, statement, now)


def wake(session: Session, statement: Statement, now: datetime) -> int:
    """Let every row and every item of a digest that waits for a text be looked at again; who must still wait
    does. Returns how many."""
    of_it = session.scalars(texts.mailings_of(statement.id)).all()
    lifetime = TRAITS[MailingKind.STATEMENT_ALERT].lifetime
    count = texts.wake(session, of_it, due_at=now, not_after=now + lifetime)
    if count:
        hint_after_commit(session, Task.SEND_DUE)
    return count + digest_texts.wake(session, now, statement_id=statement.id)


def waiting(session: Session, statement: Statement) -> int:
    """How many readers of the statement wait for a translation, with a mail or an item of a digest."""
    of_it = session.scalars(texts.mailings_of(statement.id)).all()
    mails = select(func.count()).select_from(Delivery).where(texts.waiting_for_text(of_it))
    return (session.scalar(mails) or 0) + digest_texts.waiting(session, statement.id)


def tell_of(
    session: Session,
    house: House,
    statement: Statement,
    *,
    language: str,
    actor: str,
    now: datetime,
    undo_seconds: int | None = None,
) -> Mailing:
    """Tell those who wish most for a ready translation and got another language. Once for each version."""
    if statement.state is not StatementState.PUBLISHED:
        raise StatementRefusal(f"The statement is {statement.state.value}; there is nobody to tell.")
    text = _text(session, statement, language)
    if text is None or text.state is not TextState.READY or language == statement.language:
        raise StatementRefusal(
            f"There is no ready translation into {language} of the text as it stands now. See: "
            f"mailer statement texts {statement.slug}"
        )
    alert = session.scalars(
        select(Mailing).where(
            Mailing.statement_id == statement.id, Mailing.kind == MailingKind.STATEMENT_ALERT
        )
    ).one_or_none()
    if alert is None:
        raise StatementRefusal("The statement was never mailed, so nobody has it in another language.")
    _note(session, statement, "translation-announced", language, actor, now)
    later = f":v{statement.version}" if statement.version > 1 else ""
    announcement = Announcement(
        key=f"statement:{statement.id}:translation:{language}{later}",
        kind=MailingKind.TRANSLATION,
        topic_id=alert.topic_id,
        statement_id=statement.id,
        undo_seconds=house.settings.undo_seconds if undo_seconds is None else undo_seconds,
        facts={"language": language},
    )
    return announce(session, house, announcement, now)


def _text(session: Session, statement: Statement, language: str) -> StatementText | None:
    return session.scalars(
        select(StatementText).where(
            StatementText.statement_id == statement.id,
            StatementText.language == language,
            StatementText.version == statement.version,
        )
    ).one_or_none()


def check_language(language: str) -> None:
    """Raise StatementRefusal unless it is a language tag that a text can be set in."""
    try:
        Locale.parse(language, sep="-")
    except (ValueError, UnknownLocaleError):
        raise StatementRefusal(f'"{language[:20]}" is no language tag such as "hy" or "ar".') from None


def check_text(title: str, body: str, language: str) -> None:
    """Raise StatementRefusal, or MarkerInText, for a text that no mail could carry."""
    if not 1 <= len(title.strip()) <= LONGEST_TITLE or "\n" in title.strip():
        raise StatementRefusal(f"The title must be one line of 1 to {LONGEST_TITLE} characters.")
    if not 1 <= len(body.strip()) <= LONGEST_BODY:
        raise StatementRefusal(f"The text must have 1 to {LONGEST_BODY:,} characters.")
    for part in (title, body):
        refuse_markers(part)
    if not markup.render(body, language=language).text.strip():
        raise StatementRefusal("The text is empty once its Markdown is read. Write some, without raw HTML.")


def _note(
    session: Session, statement: Statement, action: str, language: str, actor: str, now: datetime
) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        subject=f"statement:{statement.id}",
        now=now,
        detail={"language": language, "version": statement.version},
    )


def unfinished_mailings(session: Session, statement: Statement) -> list[Mailing]:
    """The statement's mailings that still send, or will."""
    of_it = texts.mailings_of(statement.id)
    found = select(Mailing).where(Mailing.id.in_(of_it), Mailing.state.in_(UNFINISHED))
    return list(session.scalars(found.order_by(Mailing.id).with_for_update()))
