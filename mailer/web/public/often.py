"""How often somebody wants to hear of a topic, as a form sends it: "statements:weekly"."""

from collections.abc import Iterable
from itertools import islice

from mailer.vocabulary import Frequency

MOST = 100  # topics in one form


def read(values: Iterable[str]) -> dict[str, Frequency]:
    """The frequencies by topic; what is none of them is passed over."""
    pairs = (value.rpartition(":") for value in islice(values, MOST))
    known = {frequency.value: frequency for frequency in Frequency}
    return {topic: known[word] for topic, _, word in pairs if word in known}
