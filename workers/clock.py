"""The clock of this process. Services take `now` as an argument; this is where it comes from.

Only the demo shifts it, to live through the weeks before a symposium in a minute.
"""

from datetime import UTC, datetime, timedelta


class Clock:
    """Real time plus a shift; calling it gives the moment in UTC."""

    def __init__(self) -> None:
        self._shift = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._shift

    def travel_to(self, moment: datetime) -> None:
        """From now on it is `moment`, and time goes on from there."""
        self._shift = moment - datetime.now(UTC)


clock = Clock()
