"""By what an item is known at its source, and how it is told that its facts have changed."""

import hashlib
import json

from mailer.ingest.draft import PageDraft, StatementDraft, SymposiumDraft
from mailer.vocabulary import FieldSource

_KEY_LETTERS = 290


def digest_of(draft: StatementDraft | SymposiumDraft) -> str:
    """Return a hash of an item's facts: not of its place in the list, nor of a feed's own dates."""
    facts: list[object]
    if isinstance(draft, StatementDraft):
        dated = draft.sources.get("published_on") is FieldSource.EXPLICIT
        facts = [draft.title, draft.published_on.isoformat() if dated else None, draft.body, draft.url]
    else:
        when = [str(each) for each in (draft.day, draft.month, draft.time, draft.zone, draft.precision)]
        more = [draft.minutes, draft.place, draft.cancelled, draft.register_url, draft.held]
        facts = [draft.title, when, more]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def by_key(page: PageDraft) -> dict[str, StatementDraft | SymposiumDraft]:
    """Every item once, in an order that is its own."""
    groups: dict[str, dict[str, StatementDraft | SymposiumDraft]] = {}
    for statement in page.statements:
        groups.setdefault(f"post:{statement.uid or statement.key}", {})[digest_of(statement)] = statement
    for event in page.symposia:
        groups.setdefault(f"event:{event.key}", {})[digest_of(event)] = event
    drafts: dict[str, StatementDraft | SymposiumDraft] = {}
    for name, group in sorted(groups.items()):
        for digest, draft in sorted(group.items()):
            alone = len(group) == 1
            day = draft.day.isoformat() if isinstance(draft, SymposiumDraft) and draft.day else digest[:12]
            drafts.setdefault(_short(name if alone else f"{name}:{day}"), draft)
    return drafts


def _short(key: str) -> str:
    if len(key) <= _KEY_LETTERS:
        return key
    return f"{key[: _KEY_LETTERS - 33]}-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
