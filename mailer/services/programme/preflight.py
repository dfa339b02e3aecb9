"""Preflight of a statement's languages: who would get which, who falls back, and who waits."""

import json
from collections import Counter
from dataclasses import dataclass

from sqlalchemy.orm import Session

from mailer.db import texts
from mailer.db.programme import Statement
from mailer.services.audience import people
from mailer.services.programme.statements import TOPIC
from mailer.services.programme.translations import states
from mailer.services.sending.texts import choose_text, preferred
from mailer.vocabulary import TextState


@dataclass(frozen=True, kw_only=True)
class Line:
    """Readers who wish most for one language (None: for no particular one) and what they would get."""

    wished: str | None
    state: TextState
    readers: int
    gets: str
    waits: bool

    @property
    def falls_back(self) -> bool:
        """True when they would read it in a language they wish for less."""
        return self.wished is not None and not self.waits and self.gets.partition("-")[0] != self.wished


def preflight(session: Session, statement: Statement) -> list[Line]:
    """Count everyone who would be mailed now, the largest groups first."""
    standing = texts.standings(session, [statement.id], lock=False)[statement.id]
    topic_id = people.topic(session, TOPIC).id
    counts: Counter[tuple[str | None, str, bool]] = Counter()
    for wishes, readers in texts.wishes_of_topic(session, topic_id).items():
        wished = json.loads(wishes)
        wanted, text = preferred(wished), choose_text(standing, wished)
        waits = wanted in standing.holds and text.language.partition("-")[0] != wanted
        counts[wanted, text.language, waits] += readers
    known = {one.language: one.state for one in states(session, statement)}
    return [
        Line(
            wished=wished,
            state=known.get(wished or statement.language, TextState.MISSING),
            readers=readers,
            gets=gets,
            waits=waits,
        )
        for (wished, gets, waits), readers in counts.most_common()
    ]
