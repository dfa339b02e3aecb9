"""One event that stands at its source twice, under two keys: the first is taken, the other asked about."""

from collections.abc import Mapping, Sequence

from mailer.ingest.draft import SymposiumDraft
from mailer.ingest.text import plain_title
from mailer.ingest.verdict import CalledOff, Known, New, Suspicious

WHY = "It stands there twice, with the same title at the same hour. Is it another event, or the same one?"
_Moment = tuple[str, object, object]


def twins(
    fresh: Mapping[str, SymposiumDraft], verdicts: Mapping[str, object], here: Sequence[Known]
) -> dict[str, Suspicious]:
    """The new drafts that a known event of this fetch, or an earlier new draft, has the title and hour of.

    `here` are the known ones that the fetch holds.
    """
    ends = {one.known.id for one in verdicts.values() if isinstance(one, CalledOff)}
    stands = [each for each in here if each.id not in ends and not each.called_off]
    seen: set[_Moment] = {(plain_title(each.title), each.day, each.starts_at) for each in stands}
    found: dict[str, Suspicious] = {}
    for key, draft in fresh.items():
        if not isinstance(verdicts.get(key), New) or draft.day is None or draft.cancelled or draft.held:
            continue
        moment = (plain_title(draft.title), draft.day, draft.starts_at)
        if moment in seen:
            found[key] = Suspicious(why=WHY)
        seen.add(moment)
    return found
