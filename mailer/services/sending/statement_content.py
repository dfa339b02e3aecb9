"""What mails about statements say: alert, correction, retraction, a translation that came later, digest."""

from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db import texts
from mailer.db.digest_texts import Entry, Told
from mailer.db.mailings import Mailing
from mailer.db.people import Topic
from mailer.db.programme import Correction, Statement, StatementText
from mailer.messages.facts import (
    CorrectionFacts,
    DigestEntry,
    DigestFacts,
    RetractionFacts,
    StatementFacts,
    TranslationFacts,
)
from mailer.services.house import House
from mailer.services.sending.texts import FALLBACK_LANGUAGE, Text
from mailer.vocabulary import Frequency, MailingKind, TextState


def topic_name(topic: Topic, language: str) -> str:
    """The topic's name in the language, else in English, else its key."""
    return topic.names.get(language) or topic.names.get(FALLBACK_LANGUAGE) or topic.key


def statement_mail(
    session: Session, house: House, mailing: Mailing, topic: Topic, language: str, text: Text | None
) -> StatementFacts | CorrectionFacts | RetractionFacts | TranslationFacts:
    """The facts of a mail about a statement: the frame in one language, the text in the chosen one."""
    statement = session.get_one(Statement, mailing.statement_id)
    if text is None:
        raise LookupError("No text was chosen for a mail about a statement.")
    if mailing.kind is MailingKind.RETRACTION:
        return _retraction(session, house, mailing, statement, topic_name(topic, language), text)
    written = texts.text(session, statement.id, text.language, text.version or statement.version)
    facts = StatementFacts(
        title=written.title,
        published_on=statement.dated,
        body=written.body,
        body_language=written.language,
        url=house.url("statements", statement.slug),
        topic_name=topic_name(topic, language),
        fallback=text.fallback,
    )
    if mailing.kind is MailingKind.TRANSLATION:
        return TranslationFacts(**vars(facts))
    if mailing.kind is MailingKind.CORRECTION:
        correction = _correction(session, mailing)
        words, alone = correction.words[text.language], correction.language is not None
        return CorrectionFacts(**vars(facts), wrong=words["wrong"], right=words["right"], alone=alone)
    return facts


def _retraction(
    session: Session, house: House, mailing: Mailing, statement: Statement, topic: str, text: Text
) -> RetractionFacts:
    known = text_for(session, statement, text.language)
    return RetractionFacts(
        title=known.title,
        body_language=known.language,
        published_on=statement.dated,
        reason=_correction(session, mailing).words[text.language]["reason"],
        language=text.language,
        url=house.url("statements", statement.slug),
        topic_name=topic,
    )


def digest_mail(
    session: Session, house: House, mailing: Mailing, topic: Topic, language: str, told: Told
) -> DigestFacts:
    """The facts of a digest that tells of these statements, in the texts that were chosen."""
    found = session.scalars(
        select(Statement)
        .where(Statement.id.in_({entry.statement_id for entry in told}))
        .order_by(Statement.dated.desc(), Statement.id.desc())
    ).all()
    return DigestFacts(
        frequency=Frequency(mailing.facts["frequency"]),
        day=date.fromisoformat(mailing.facts["day"]),
        entries=tuple(
            _entry(session, house, statement, entry)
            for again in (False, True)  # what is new stands first
            for statement in found
            for entry in told
            if (entry.statement_id, entry.again) == (statement.id, again)
        ),
        topic_name=topic_name(topic, language),
        archive_url=house.url("statements"),
    )


def _entry(session: Session, house: House, statement: Statement, entry: Entry) -> DigestEntry:
    text = texts.text(session, statement.id, entry.language, entry.version)
    return DigestEntry(
        title=text.title,
        published_on=statement.dated,
        body=text.body,
        body_language=text.language,
        url=house.url("statements", statement.slug),
        fallback=entry.fallback,
        again=entry.again,
    )


def _correction(session: Session, mailing: Mailing) -> Correction:
    return session.get_one(Correction, int(mailing.facts["correction"]))


def text_for(session: Session, statement: Statement, language: str) -> StatementText:
    """The text that holds now in the language, else in the statement's own."""
    for wanted in (language, statement.language):
        text = session.scalars(
            select(StatementText).where(
                StatementText.statement_id == statement.id,
                StatementText.language == wanted,
                StatementText.version == statement.version,
                StatementText.state == TextState.READY,
            )
        ).first()
        if text is not None:
            return text
    raise LookupError(f"Statement {statement.id} has no text.")
