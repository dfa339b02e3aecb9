"""What a digest may still tell of, and in which texts, is asked at the claim, for each of its recipients.

A statement withdrawn or held back since is left out, one whose reader waits for a translation goes into a
later digest, and a digest of which nothing is left does not leave. Slices without digests cost one look at
their mailings.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from mailer.db import digest_texts, digests, texts
from mailer.db.digest_texts import Entry, Item, Told
from mailer.db.outbox import Candidate, Surroundings
from mailer.db.texts import Standing
from mailer.services.sending.texts import text_or_wait, wishes_most_for
from mailer.vocabulary import DeliveryState, MailingKind, SkipReason

LeftOut = defaultdict[tuple[DeliveryState, SkipReason], list[int]]


def with_statements(
    session: Session, found: Sequence[Candidate], around: Surroundings, now: datetime
) -> Surroundings:
    """The surroundings, and for each digest among the candidates what it tells of now."""
    kinds = {number for number, one in around.mailings.items() if one.kind is MailingKind.DIGEST}
    if not kinds:
        return around
    theirs = {one.id: one.languages or "[]" for one in found if one.mailing_id in kinds}
    told = _told_by(session, theirs, now)
    return replace(around, digests={number: told.get(number, ()) for number in theirs})


def _told_by(session: Session, wishes: Mapping[int, str], now: datetime) -> dict[int, Told]:
    """What these deliveries tell of, by their readers' languages; the texts are written down with it.

    The statements are locked as by the claim of an alert, so a correction knows who read which text.
    """
    about = digest_texts.statements_of(session, wishes)
    standings = texts.standings(session, about, lock=True)
    answers: dict[tuple[int, str, str], Entry | SkipReason] = {}
    told: defaultdict[int, list[Entry]] = defaultdict(list)
    chosen: defaultdict[Entry, list[Item]] = defaultdict(list)
    refused: defaultdict[SkipReason, list[Item]] = defaultdict(list)
    for item in digest_texts.items(session, wishes, now):
        alike = (item.statement_id, item.translation, wishes[item.delivery_id])
        if alike not in answers:
            answers[alike] = answer(standings[item.statement_id], alike[1], json.loads(alike[2]))
        entry = answers[alike]
        if isinstance(entry, SkipReason):
            refused[entry].append(item)
            continue
        chosen[entry].append(item)
        told[item.delivery_id].append(entry)
    digest_texts.write(session, chosen)
    digest_texts.hold(session, refused[SkipReason.AWAITING_TRANSLATION])
    digest_texts.drop(session, refused[SkipReason.NOTHING_CHANGED])
    return {number: tuple(entries) for number, entries in told.items()}


def answer(standing: Standing, translation: str, wished: Sequence[str]) -> Entry | SkipReason:
    """The text in which a reader is told of a statement, or of its translation; or why not now."""
    if not translation:
        text = text_or_wait(standing, wished)
        if isinstance(text, SkipReason):
            return text
        return Entry(standing.statement_id, standing.version, text.language, text.fallback, again=False)
    if not wishes_most_for(translation, wished):  # they wish for another language now
        return SkipReason.NOTHING_CHANGED
    if translation not in standing.ready:  # a correction came between
        return SkipReason.AWAITING_TRANSLATION
    return Entry(standing.statement_id, standing.version, translation, fallback=False, again=True)


def hold_what_waits(session: Session, now: datetime) -> None:
    """Before digests are planned: what is owed to readers who wait for a translation is owed to none yet.

    So nobody gets a mailing of which nothing would be left.
    """
    owed = digest_texts.owed_wishes(session, now)
    standings = texts.standings(session, {one[0] for one in owed}, lock=False)
    waiting: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for statement_id, translation, wished in owed:
        said = answer(standings[statement_id], translation, json.loads(wished))
        if said is SkipReason.AWAITING_TRANSLATION:
            waiting[statement_id, translation].append(wished)
    for (statement_id, translation), wishes in waiting.items():
        digest_texts.hold_owed(session, statement_id, now, wishes, translation)


def leave_out_empty(
    session: Session, held: Sequence[Candidate], out: LeftOut, told: Mapping[int, Told]
) -> list[Candidate]:
    """Those that still have something to tell; a digest that is too late owes it to the next one."""
    late = [number for number in out[(DeliveryState.EXPIRED, SkipReason.TOO_LATE)] if number in told]
    if late:
        digests.owe_again(session, late)
    empty = [one.id for one in held if not told.get(one.id, True)]
    if empty:
        out[(DeliveryState.SKIPPED, SkipReason.NOTHING_LEFT)] += empty
    return [one for one in held if told.get(one.id, True)]
