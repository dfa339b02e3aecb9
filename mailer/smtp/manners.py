"""How much may be asked of a host at once: connections, letters on each, and what is in flight.

A relay's owner has said what it may be asked. A site that is reached directly has
not: it is approached with few connections, gets one more after each clean round, and
half of them when it asks for patience. Lives on the engine's thread.
"""

from mailer.smtp.outcome import Outcome, Verdict

_FIRST_CONNECTIONS = 2
_ROUND = 10  # clean letters on each connection that earn the site another one
_TRUSTED_AFTER = 50  # clean letters before several are in flight on a connection
_TRUSTED_DEPTH = 4
_CLOSING = 421


class Manners:
    """A relay's: fixed. `serving` counts the connections at work; pools that share a site share this."""

    def __init__(
        self, *, connections: int, depth: int = 1, chunking: bool = True, letters: int | None = None
    ) -> None:
        """`letters` is the most that one connection may carry; None is no limit but its age."""
        self.allowed = connections
        self.depth = depth
        self.chunking = chunking
        self.letters = letters
        self.serving = 0

    @property
    def room(self) -> int:
        """How many more connections may be put to work; below 0 when there are too many."""
        return self.allowed - self.serving

    def heard(self, outcome: Outcome) -> bool:
        """What became of a letter; True when the room has changed."""
        return False


class SiteManners(Manners):
    """A receiving site's: earned."""

    def __init__(self, *, connections: int, letters: int | None) -> None:
        """`connections` and `letters`: see `limit`."""
        super().__init__(connections=_FIRST_CONNECTIONS)
        self.limit(connections=connections, letters=letters)
        self._clean = 0  # letters in a row that it took or refused without asking for patience
        self._round = 0

    def limit(self, *, connections: int, letters: int | None) -> None:
        """`connections` is the most that the site is asked for from now on.

        It is one at least: a worker without a place of its own would hold its letters for ever.
        """
        self._most = max(1, connections)
        self.allowed = min(self.allowed, self._most)
        self.letters = letters

    def heard(self, outcome: Outcome) -> bool:
        if self.room < 0:  # the limit was lowered meanwhile
            return True
        if outcome.code is None:
            return False
        if _asks_for_patience(outcome):
            self._clean = self._round = 0
            self.depth = 1
            self.allowed = max(1, self.allowed // 2)
            return True
        if outcome.verdict is not Verdict.SENT:
            return False
        self._clean += 1
        self._round += 1
        if self._clean >= _TRUSTED_AFTER:
            self.depth = _TRUSTED_DEPTH
        if self._round < _ROUND * self.allowed or self.allowed >= self._most:
            return False
        self._round = 0
        self.allowed += 1
        return True


def _asks_for_patience(outcome: Outcome) -> bool:
    return outcome.code == _CLOSING or (outcome.enhanced or "").startswith("4.7.")
