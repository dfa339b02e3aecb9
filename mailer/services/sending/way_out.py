"""The way out: the lanes of the relays that this worker's mail leaves by.

A relay that refuses before any letter rests for all workers, and no recipient is charged
for it. In direct delivery there is no relay, and each receiving site speaks for itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from mailer.services.house import House
from mailer.services.sending.lanes import give_back
from mailer.services.sending.relay_lanes import ensure_relay_lane, relay_key, relay_reopened, rest_relay
from mailer.services.sending.settle import Result, was_not_offered
from mailer.services.sending.shares import Shares
from mailer.smtp.outcome import Outcome, Verdict
from mailer.smtp.relay import Relay


@dataclass
class WayOut:
    """The relays' lanes by their keys, and the keys by the relays' names; none for direct delivery."""

    lanes: Mapping[str, int] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    shares: Shares | None = None  # of receiving sites' connections, in direct delivery
    _resting: set[str] = field(default_factory=set)

    @classmethod
    def by(cls, house: House, relays: Sequence[Relay], shares: Shares) -> "WayOut":
        """Make the relays' lanes when they are not there yet."""
        if not relays:
            return cls(shares=shares)
        keys = {str(relay): relay_key(relay.host, relay.port) for relay in relays}
        with house.database.write() as session:
            return cls({key: ensure_relay_lane(session, key) for key in keys.values()}, keys)

    def spoken(self, results: Iterable[Result]) -> list[tuple[int, Outcome]] | None:
        """Each outcome with the lane of the relay that spoke; None where receiving sites speak themselves."""
        if not self.lanes:
            return None
        if len(self.lanes) == 1:
            (lane,) = self.lanes.values()
            return [(lane, result.outcome) for result in results]
        return []  # with several relays each rests by itself when it refuses

    def refresh(self, session: Session, now: datetime) -> None:
        """Look anew what this worker may ask of receiving sites."""
        if self.shares is not None:
            self.shares.refresh(session, now)

    def note(
        self, session: Session, resting: Mapping[str, Outcome], results: Sequence[Result], now: datetime
    ) -> None:
        """Let relays rest that refuse (by name, with what they said); open those that take mail again."""
        refusals = {self.keys[name]: outcome for name, outcome in resting.items() if name in self.keys}
        for key in sorted(refusals.keys() - self._resting):
            rest_relay(session, key, refusals[key], now)
        open_again = self.lanes.keys() - refusals.keys()
        if any(result.outcome.verdict is Verdict.SENT for result in results):
            for key in sorted(open_again):
                relay_reopened(session, key, now)
        self._resting = set(refusals)
        if len(self.lanes) == 1:
            unused = sum(was_not_offered(result.outcome) for result in results)
            give_back(session, now, dict.fromkeys(self.lanes.values(), unused))
