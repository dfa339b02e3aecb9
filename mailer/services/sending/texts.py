"""Texts: which version and language of a statement each reader gets, decided at the claim.

A reader's languages are tried in their order, a regional wish also by its language, and
the chain ends at the original. What lags behind a correction is never chosen. The choice
is made once for all readers of one slice who wish alike, and is written on their rows.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy.orm import Session

from mailer.db import readers, texts
from mailer.db.mailings import Mailing
from mailer.db.outbox import Candidate, Surroundings
from mailer.db.programme import Correction
from mailer.db.readers import Original
from mailer.db.texts import Standing
from mailer.messages import templates
from mailer.services.sending.traits import TRAITS
from mailer.vocabulary import MailingKind, SkipReason

FALLBACK_LANGUAGE = "en"

Wish = tuple[int, str | None, str | None]
"""What readers share who get the same: the mailing, their languages, and the language they got before."""


class Text(NamedTuple):
    """The text a reader gets. `fallback`: it is not in the language they wish for most."""

    language: str
    version: int | None
    fallback: bool


@dataclass(frozen=True)
class Texts:
    """The texts of one slice. `originals`: the mail that a delivery answers, for kinds that answer one."""

    chosen: Mapping[Wish, Text] = field(default_factory=dict)
    originals: Mapping[int, Original] = field(default_factory=dict)

    def wish_of(self, candidate: Candidate) -> Wish:
        """By what the reader's text is found."""
        return _wish(candidate, self.originals)


def choose_language(wished: Sequence[str]) -> str:
    """The first of a person's languages that the frame speaks.

    A regional wish is met by its language: fr-CA by fr.
    """
    return next((tag for tag in chain(wished) if tag in templates.LANGUAGES), FALLBACK_LANGUAGE)


@lru_cache(maxsize=1024)
def language_of(wished: str) -> str:
    """The same for a person's languages as they stand in their row: a JSON list."""
    return choose_language(json.loads(wished))


def chain(wished: Iterable[str]) -> list[str]:
    """The tags that meet these wishes, in order: each wish, then its language without the region."""
    return [tag for wish in wished for tag in dict.fromkeys((wish, wish.partition("-")[0]))]


def meets(language: str, wished: Sequence[str]) -> bool:
    """Whether a text in the language is what these wishes ask for most."""
    return language in chain(wished[:1])


def wishes_most_for(language: str, wished: Sequence[str]) -> bool:
    """Whether a translation into the language, or into one of which it is a region, is what they wait for."""
    return bool(wished) and f"{wished[0]}-".startswith(f"{language}-")


def preferred(wished: Sequence[str]) -> str | None:
    """The language, without a region, that a person wishes for most."""
    return wished[0].partition("-")[0] if wished else None


def choose_text(standing: Standing, wished: Sequence[str], *, received: str | None = None) -> Text:
    """The text that holds now in the language received before, else by the wishes, else the original."""
    tags = [*([received] if received else []), *chain(wished)]
    language = next((tag for tag in tags if tag in standing.ready), standing.original)
    return Text(language, standing.version, _is_fallback(language, wished))


def _is_fallback(language: str, wished: Sequence[str]) -> bool:
    """A text in the frame's own language needs no word about it, nor does one that was wished for most."""
    return language != choose_language(wished) and not meets(language, wished)


@dataclass(frozen=True)
class Sorting:
    """One slice sorted by text: who leaves, the ids that get each text (None: no statement's), and the ids
    that must not get theirs now, by the reason."""

    leaving: Sequence[Candidate]
    ids_of: Mapping[Text | None, list[int]]
    refused: Mapping[SkipReason, list[int]]
    texts: Texts


def sort_by_text(session: Session, held: Sequence[Candidate], around: Surroundings) -> Sorting:
    """Choose what the readers of a slice get, once for all who wish alike.

    Reads the statements under a shared lock; asks nothing for a slice without statements.
    """
    mailings = {
        number: mailing for number, mailing in around.mailings.items() if mailing.statement_id is not None
    }
    if not mailings:
        return Sorting(held, {None: [one.id for one in held]}, {}, Texts())
    about = {mailing.statement_id for mailing in mailings.values() if mailing.statement_id}
    standings = texts.standings(session, about, lock=True)
    originals = _originals(session, held, mailings)
    answers = {
        number: _answer(session, mailing, standings[mailing.statement_id or 0])
        for number, mailing in mailings.items()
    }
    chosen: dict[Wish, Text] = {}
    ids_of: defaultdict[Text | None, list[int]] = defaultdict(list)
    refused: defaultdict[SkipReason, list[int]] = defaultdict(list)
    for wish, ids in _groups(held, originals).items():
        mailing_id, languages, received = wish
        answer = (
            answers[mailing_id](json.loads(languages or "[]"), received) if mailing_id in answers else None
        )
        if isinstance(answer, SkipReason):
            refused[answer] += ids
            continue
        if answer is not None:
            chosen[wish] = answer
        ids_of[answer._replace(fallback=False) if answer else None] += ids
    return Sorting(_without(held, refused), ids_of, refused, Texts(chosen, originals))


def text_ahead(session: Session, mailing: Mailing, wished: str) -> Text | None:
    """The text that readers with these languages, a JSON list, would get now; None: they would wait."""
    standing = texts.standings(session, {mailing.statement_id or 0}, lock=False)[mailing.statement_id or 0]
    answer = _answer(session, mailing, standing)(json.loads(wished or "[]"), None)
    return None if isinstance(answer, SkipReason) else answer


def _groups(held: Sequence[Candidate], originals: Mapping[int, Original]) -> dict[Wish, list[int]]:
    groups: defaultdict[Wish, list[int]] = defaultdict(list)
    if originals:
        for one in held:
            groups[_wish(one, originals)].append(one.id)
    else:  # an alert's thousand readers come this way
        for one in held:
            groups[one.mailing_id, one.languages, None].append(one.id)
    return groups


def _wish(candidate: Candidate, originals: Mapping[int, Original]) -> Wish:
    received = originals.get(candidate.id)
    return candidate.mailing_id, candidate.languages, received.language if received else None


def _without(held: Sequence[Candidate], refused: Mapping[SkipReason, list[int]]) -> Sequence[Candidate]:
    if not refused:
        return held
    gone = frozenset(number for ids in refused.values() for number in ids)
    return [one for one in held if one.id not in gone]


def _originals(
    session: Session, held: Sequence[Candidate], mailings: Mapping[int, Mailing]
) -> dict[int, Original]:
    """The mails that are answered, by the delivery that answers; only for kinds that do."""
    answering: defaultdict[int, list[Candidate]] = defaultdict(list)
    kinds = {number for number, mailing in mailings.items() if TRAITS[mailing.kind].answers}
    for one in held if kinds else ():
        if one.mailing_id in kinds and one.subscriber_id is not None:
            answering[mailings[one.mailing_id].statement_id or 0].append(one)
    found: dict[int, Original] = {}
    for statement_id, members in answering.items():
        mails = readers.originals(session, statement_id, [one.subscriber_id or 0 for one in members])
        found |= {one.id: mails[one.subscriber_id or 0] for one in members if one.subscriber_id in mails}
    return found


Answer = Callable[[Sequence[str], str | None], Text | SkipReason]


def _answer(session: Session, mailing: Mailing, standing: Standing) -> Answer:
    """How one mailing answers a wish."""
    match mailing.kind:
        case MailingKind.RETRACTION:
            said = frozenset(_correction(session, mailing).words)
            silent = standing._replace(ready=said)
            return lambda wished, received: choose_text(silent, wished, received=received)._replace(
                version=None
            )
        case _ if standing.retracted:
            return lambda wished, received: SkipReason.RETRACTED
        case MailingKind.CORRECTION:
            return _of_correction(standing, _correction(session, mailing))
        case MailingKind.TRANSLATION:
            language = str(mailing.facts["language"])
            if language not in standing.ready:  # a correction came between
                return lambda wished, received: SkipReason.AWAITING_TRANSLATION
            return lambda wished, received: _of_translation(standing, language, wished)
        case _:
            return lambda wished, received: text_or_wait(standing, wished)


def _of_correction(standing: Standing, correction: Correction) -> Answer:
    """A correction is told in a text that it was said with; that of one language in this alone."""
    said = standing.ready & frozenset(correction.words)
    if correction.language is None:
        told = standing._replace(ready=said)
        return lambda wished, received: choose_text(told, wished, received=received)
    if not said:  # a later one of the whole statement has left this language behind, and tells them
        return lambda wished, received: SkipReason.CORRECTED
    alone = standing._replace(ready=said, original=correction.language)
    return lambda wished, received: choose_text(alone, wished)


def _of_translation(standing: Standing, language: str, wished: Sequence[str]) -> Text | SkipReason:
    """Who has turned to another language since is not told of this one."""
    if not wishes_most_for(language, wished):
        return SkipReason.NOTHING_CHANGED
    return Text(language, standing.version, False)


def text_or_wait(standing: Standing, wished: Sequence[str]) -> Text | SkipReason:
    """The text by these wishes, or that their readers wait for a translation."""
    text = choose_text(standing, wished)
    waits = preferred(wished) in standing.holds and not meets(text.language, wished)
    return SkipReason.AWAITING_TRANSLATION if waits else text


def _correction(session: Session, mailing: Mailing) -> Correction:
    return session.get_one(Correction, int(mailing.facts["correction"]))
