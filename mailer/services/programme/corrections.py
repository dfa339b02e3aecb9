"""Corrections and retractions: written as a draft, looked at, and announced by a person.

From the announcement on nobody gets the older text any more. What becomes of each row is
decided once what was on the wire has landed (services.sending.split).
"""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from mailer.db import texts
from mailer.db.programme import Correction, Statement, StatementText
from mailer.db.session import hint_after_commit
from mailer.messages.slots import refuse_markers
from mailer.services import audit
from mailer.services.programme.editing import begin
from mailer.services.programme.refusals import StatementRefusal
from mailer.services.programme.translations import check_language, check_text, unfinished_mailings
from mailer.services.sending.embargo_rows import lock
from mailer.vocabulary import (
    CorrectionKind,
    CorrectionState,
    MailingState,
    StatementState,
    TextState,
)
from mailer.wake import Task

LONGEST_WORDS = 2_000  # characters of what was wrong, of what is right, of a reason
_WORDS = {
    CorrectionKind.CORRECTION: ("wrong", "right"),
    CorrectionKind.RETRACTION: ("reason",),
}


def all_of(session: Session, statement: Statement) -> list[Correction]:
    """The statement's corrections and its retraction, the oldest first."""
    found = select(Correction).where(Correction.statement_id == statement.id).order_by(Correction.number)
    return list(session.scalars(found))


def draft_of(session: Session, statement: Statement) -> Correction:
    """The one that waits to be announced. Raises StatementRefusal."""
    found = next((one for one in all_of(session, statement) if one.state is CorrectionState.DRAFT), None)
    if found is None:
        raise StatementRefusal(
            "Nothing waits to be announced. Write it with: "
            f"mailer statement correct {statement.slug} --file ... --wrong ... --right ..."
        )
    return found


def draft_correction(
    session: Session,
    statement: Statement,
    *,
    title: str | None,
    body: str,
    wrong: str,
    right: str,
    actor: str,
    now: datetime,
    only: str | None = None,
    anyway: bool = False,
) -> Correction:
    """Write a correction in the statement's own language; it takes the place of an earlier draft, which
    `anyway` may be somebody else's. With `only` it is of the text of this language alone: all others are
    right as they are. Raises StatementRefusal.
    """
    begin(session, statement, now)
    _check_published(statement)
    language = only or statement.language
    current = _in_readers_hands(session, statement, language)
    title = title or current.title
    check_text(title, body, language)
    if (title, body) == (current.title, current.body):
        raise StatementRefusal("The corrected text is the text that stands already. Give the corrected file.")
    correction = _draft(session, statement, CorrectionKind.CORRECTION, actor, now, anyway=anyway)
    correction.to_version = statement.version + 1
    correction.language = only
    correction.words = {language: _checked(CorrectionKind.CORRECTION, wrong=wrong, right=right)}
    _store(session, statement, language, correction.to_version, title, body, now)
    session.flush()
    return correction


def draft_retraction(
    session: Session, statement: Statement, *, reason: str, actor: str, now: datetime, anyway: bool = False
) -> Correction:
    """Write a retraction in the statement's own language; it takes the place of an earlier draft, which
    `anyway` may be somebody else's. Raises StatementRefusal."""
    begin(session, statement, now)
    _check_published(statement)
    correction = _draft(session, statement, CorrectionKind.RETRACTION, actor, now, anyway=anyway)
    correction.words = {statement.language: _checked(CorrectionKind.RETRACTION, reason=reason)}
    session.flush()
    return correction


def add_language(
    session: Session,
    correction: Correction,
    statement: Statement,
    *,
    language: str,
    now: datetime,
    title: str | None = None,
    body: str | None = None,
    **words: str,
) -> None:
    """Say the draft in one more language; a correction also brings that translation up to it."""
    check_language(language)
    lock(session, statement)
    session.refresh(correction)
    if correction.state is not CorrectionState.DRAFT:
        raise StatementRefusal("It is announced already and stays as it was.")
    if correction.language is not None:
        raise StatementRefusal(
            f"What waits to be announced corrects the {correction.language} text alone, and is said to its "
            f"readers only. Announce it first, or write another correction in its place."
        )
    correction.words = {**correction.words, language: _checked(correction.kind, **words)}
    if correction.to_version is None:
        return
    if body is None:
        raise StatementRefusal("A correction in another language needs its corrected text too: --file")
    earlier = _latest_title(session, statement, language)
    check_text(title or earlier or "", body, language)
    _store(session, statement, language, correction.to_version, title or earlier or "", body, now)


Seen = tuple[int, datetime, dict[str, dict[str, str]]]


def seen(correction: Correction) -> Seen:
    """What tells whether a draft is still the one that a person looked at."""
    return correction.id, correction.created_at, correction.words


def announce(
    session: Session,
    correction: Correction,
    statement: Statement,
    *,
    actor: str,
    now: datetime,
    as_seen: Seen | None = None,
) -> None:
    """From now on nobody gets the older text. What was claimed is waited for; the sweep does the rest.

    Announcing twice is one announcement. Raises StatementRefusal, also for a draft that is not `as_seen`.
    """
    lock(session, statement)  # waits for the claims that read the older version
    found = session.get(Correction, correction.id, populate_existing=True, with_for_update=True)
    if found is None or as_seen not in (None, seen(found)):
        raise StatementRefusal(
            "Somebody has written it anew since you looked; nothing has left. Look again with: "
            f"mailer statement announce {statement.slug}"
        )
    if correction.state is not CorrectionState.DRAFT:
        return
    if any(one.state is CorrectionState.SETTLING for one in all_of(session, statement)):
        raise StatementRefusal("An earlier correction still waits for mails on the wire. Try again shortly.")
    if correction.from_version != statement.version:
        raise StatementRefusal("The text has changed since this was written. Write it again.")
    correction.paused = _pause(session, statement)
    if correction.to_version is None:
        statement.state = StatementState.RETRACTED
    else:
        _carry_over(session, correction)
        statement.version = correction.to_version
    correction.state, correction.announced_at = CorrectionState.SETTLING, now
    session.flush()
    hint_after_commit(session, Task.SWEEP)
    audit.record(
        session,
        actor=actor,
        action=f"{correction.kind.value}-announced",
        subject=f"statement:{statement.id}",
        now=now,
        detail={"number": correction.number, "language": correction.language},
    )


def _carry_over(session: Session, correction: Correction) -> None:
    """What a correction of one language leaves as it is stands in the new version too, word for word."""
    if correction.language is None:
        return
    others = session.scalars(
        select(StatementText).where(
            StatementText.statement_id == correction.statement_id,
            StatementText.version == correction.from_version,
            StatementText.language != correction.language,
        )
    )
    for text in others.all():
        session.add(
            StatementText(
                statement_id=text.statement_id,
                language=text.language,
                version=correction.to_version,
                title=text.title,
                body=text.body,
                state=text.state,
                created_at=text.created_at,
            )
        )


def _in_readers_hands(session: Session, statement: Statement, language: str) -> StatementText:
    """The text in the language that holds now. Raises StatementRefusal."""
    check_language(language)
    try:
        text = texts.text(session, statement.id, language, statement.version)
    except NoResultFound:
        text = None
    if text is None or text.state is not TextState.READY:
        raise StatementRefusal(
            f"There is no text in {language} of the statement as it stands now, so it is not corrected. See: "
            f"mailer statement texts {statement.slug}"
        )
    return text


def _pause(session: Session, statement: Statement) -> list[int]:
    """Hold back what is being sent; what staff have paused themselves stays as it is afterwards."""
    stopped = []
    for mailing in unfinished_mailings(session, statement):
        if mailing.state is not MailingState.PAUSED:
            mailing.state = MailingState.PAUSED
            stopped.append(mailing.id)
    return stopped


def _check_published(statement: Statement) -> None:
    if statement.state is not StatementState.PUBLISHED:
        raise StatementRefusal(
            f"The statement is {statement.state.value}; only a published one is corrected or retracted."
        )


def _draft(
    session: Session,
    statement: Statement,
    kind: CorrectionKind,
    actor: str,
    now: datetime,
    *,
    anyway: bool,
) -> Correction:
    known = all_of(session, statement)
    for one in known:
        if one.state is not CorrectionState.DRAFT:
            continue
        if one.actor != actor and not anyway:
            raise StatementRefusal(
                f"{one.actor} has written a {one.kind.value} of it that waits to be announced. Look at it "
                f"with: mailer statement announce {statement.slug}. To put yours in its place: --anyway"
            )
        session.delete(one)
    session.execute(
        delete(StatementText).where(
            StatementText.statement_id == statement.id, StatementText.version > statement.version
        )
    )
    session.flush()
    number = 1 + max((one.number for one in known if one.state is not CorrectionState.DRAFT), default=0)
    correction = Correction(
        statement_id=statement.id,
        number=number,
        kind=kind,
        from_version=statement.version,
        words={},
        actor=actor,
        created_at=now,
    )
    session.add(correction)
    return correction


def _store(
    session: Session, statement: Statement, language: str, version: int, title: str, body: str, now: datetime
) -> None:
    found = session.scalars(
        select(StatementText).where(
            StatementText.statement_id == statement.id,
            StatementText.language == language,
            StatementText.version == version,
        )
    ).one_or_none()
    text = found or StatementText(statement_id=statement.id, language=language, version=version)
    text.title, text.body, text.state, text.created_at = title.strip(), body, TextState.READY, now
    session.add(text)


def _latest_title(session: Session, statement: Statement, language: str) -> str | None:
    return session.scalar(
        select(StatementText.title)
        .where(StatementText.statement_id == statement.id, StatementText.language == language)
        .order_by(StatementText.version.desc())
        .limit(1)
    )


def _checked(kind: CorrectionKind, **words: str) -> dict[str, str]:
    """The words that this kind needs, each one paragraph."""
    told = {}
    for name in _WORDS[kind]:
        text = " ".join(words.get(name, "").split())
        if not 1 <= len(text) <= LONGEST_WORDS:
            raise StatementRefusal(f"Say it in 1 to {LONGEST_WORDS:,} characters: --{name}")
        refuse_markers(text)
        told[name] = text
    return told
