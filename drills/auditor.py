"""The auditor: reads the database and the sink's log, and nothing else, and says what is wrong.

A delivery is known at the sink by digests of its return address and its Message-ID,
which follow from its number and the key ring. Invariants, by the names of the docs:
I1 only the eligible, I2 each once or in doubt, I3 the books balance, I4 nothing after a
no, I5 nothing after its time, I6 one identity for ever, I8 every counter is a recount.
"""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from drills.sink import digest
from mailer.db.audience import books
from mailer.messages.tokens import message_id, return_address
from mailer.services.house import House

SLACK = timedelta(milliseconds=300)  # between a commit, or a dot on its way, and the sink's look at its clock
BITE = timedelta(seconds=1.5)  # pause and cancel take hold within a second
REACHED = {"sent", "bounced", "complained"}
LEFT_OUT = {"skipped", "cancelled", "expired"}

_DELIVERIES = """
SELECT d.id, d.mailing_id, d.state, d.reason, d.created_at, d.not_after, d.fence, m.opens_at,
       m.token_key, m.message_key, m.policy, c.claimed_at,
       s.state AS subscription, s.changed_at, p.suppressed
FROM deliveries d JOIN mailings m ON m.id = d.mailing_id
LEFT JOIN claims c ON c.id = d.fence
LEFT JOIN subscribers p ON p.id = d.subscriber_id
LEFT JOIN subscriptions s ON s.subscriber_id = d.subscriber_id AND s.topic_id = m.topic_id
"""
_MISSING = """
SELECT count(*) FROM mailings m JOIN subscriptions s ON s.topic_id = m.topic_id
WHERE m.expanded_at IS NOT NULL AND s.state = 'confirmed' AND NOT EXISTS
  (SELECT FROM deliveries d WHERE d.mailing_id = m.id AND d.subscriber_id = s.subscriber_id)
"""
_DOUBTS = "SELECT delivery_id, at FROM attempts WHERE verdict = 'in_doubt' ORDER BY at"
_SWITCHES = """
SELECT at, action, subject FROM audit_entries
WHERE action IN ('mailing-paused', 'mailing-resumed', 'mailing-cancelled') ORDER BY id
"""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What one run came to. `broken` are sentences about invariants."""

    enqueued: int
    lost: int
    repeated: int
    in_doubt: frozenset[int]
    failed: int
    broken: tuple[str, ...]


@dataclass(frozen=True)
class Arrival:
    """One accepted mail, from the sink's log."""

    began: datetime
    at: datetime
    message: str
    date: str
    to_is_recipient: bool


class Audit:
    """One look at everything; `findings` is its whole result."""

    def __init__(self, house: House, log: Path) -> None:
        self._house = house
        self._broken: list[str] = []
        with house.database.read() as session:
            self._rows = {row.id: row for row in session.execute(text(_DELIVERIES))}
            self._doubts = _by_delivery(session)
            self._missing = int(session.scalar(text(_MISSING)) or 0)
            self._switches = list(session.execute(text(_SWITCHES)))
            self._recount(session)
        self._arrivals = self._read(log)

    def findings(self) -> Findings:
        in_doubt = {number for number, row in self._rows.items() if row.state == "in_doubt"}
        lost, repeated = self._missing, 0
        for number, row in self._rows.items():
            arrivals = self._arrivals.get(number, [])
            lost += row.state in REACHED and not arrivals
            repeated += self._repeats(row, arrivals)
            self._check(row, arrivals)
        self._check_switches()
        return Findings(
            enqueued=len(self._rows),
            lost=lost,
            repeated=repeated,
            in_doubt=frozenset(in_doubt | set(self._doubts)),
            failed=sum(row.state == "failed" for row in self._rows.values()),
            broken=tuple(f"{count} x {what}" for what, count in Counter(self._broken).items()),
        )

    def _read(self, log: Path) -> dict[int, list[Arrival]]:
        """The sink's log by delivery. A sender that is nobody's breaks I1."""
        bounce = self._house.settings.bounce_domain
        known = {
            digest(return_address(self._house.tokens, row.token_key, number, bounce).encode()): number
            for number, row in self._rows.items()
        }
        found: defaultdict[int, list[Arrival]] = defaultdict(list)
        for line in log.read_text().splitlines():
            entry = json.loads(line)
            number = known.get(entry["sender"])
            if number is None:
                self._broken.append("I1 a mail that is no delivery's")
                continue
            began, at = (datetime.fromtimestamp(entry[name]).astimezone() for name in ("began", "at"))
            arrival = Arrival(began, at, entry["message"], entry["date"], entry["to_is_recipient"])
            found[number].append(arrival)
        return found

    def _repeats(self, row: "Row[Any]", arrivals: list[Arrival]) -> int:
        """Mails too many: one is due, and under policy `retry` one more after each recorded doubt."""
        extra = len(arrivals) - 1
        if extra <= 0:
            return 0
        if row.policy != "retry":
            return extra
        doubts = self._doubts.get(row.id, [])
        excused = sum(
            any(first.at <= doubt + SLACK <= later.at + 2 * SLACK for doubt in doubts)
            for first, later in pairwise(arrivals)
        )
        return extra - min(excused, len(doubts), extra)

    def _check(self, row: "Row[Any]", arrivals: list[Arrival]) -> None:
        if not arrivals:
            return
        if row.state not in REACHED | {"in_doubt"} and row.id not in self._doubts:
            self._broken.append(f"I2 a mail at the sink whose delivery is {row.state}")
        if row.suppressed is not None:
            self._broken.append("I1 a mail to someone suppressed")
        self._check_identity(row, arrivals)
        if any(one.at > row.not_after + SLACK for one in arrivals):
            self._broken.append("I5 a mail after its time")
        if any(one.began < row.opens_at for one in arrivals):
            self._broken.append("I5 an envelope before its time")
        left = row.subscription == "unsubscribed" and row.claimed_at is not None
        if left and row.claimed_at > row.changed_at + SLACK and arrivals[-1].at > row.claimed_at:
            self._broken.append("I4 a mail claimed after its reader had left")

    def _check_identity(self, row: "Row[Any]", arrivals: list[Arrival]) -> None:
        keys, domain = self._house.message_keys, self._house.sending_domain
        message = digest(message_id(keys, row.message_key, row.id, domain).encode())
        date = digest(format_datetime(row.created_at.astimezone()).encode())
        utc = digest(format_datetime(row.created_at).encode())
        if any(one.message != message for one in arrivals):
            self._broken.append("I6 a Message-ID that is not its delivery's")
        if any(one.date not in (date, utc) for one in arrivals):
            self._broken.append("I6 a Date that is not its delivery's")
        if not all(one.to_is_recipient for one in arrivals):
            self._broken.append("I6 a mail to somebody else's address")

    def _check_switches(self) -> None:
        """I4: nothing arrives while its mailing is paused or after it was cancelled, one second apart."""
        times = sorted(
            (one.at, self._rows[number].mailing_id)
            for number, arrivals in self._arrivals.items()
            for one in arrivals
        )
        for place, (at, action, subject) in enumerate(self._switches):
            if action == "mailing-resumed":
                continue
            later = [one.at for one in self._switches[place + 1 :] if one.subject == subject]
            until = later[0] if later else None
            late = [
                when
                for when, mailing in times
                if f"mailing:{mailing}" == subject and when > at + BITE and (until is None or when < until)
            ]
            if late:
                self._broken.append(f"I4 a mail more than a second after {action}")

    def _recount(self, session: Session) -> None:
        """I3 and I8: the books as the desk counts them, against a count of the rows."""
        counts = session.execute(
            text("SELECT mailing_id, state, count(*) FROM deliveries GROUP BY mailing_id, state")
        ).all()
        by_mailing: defaultdict[int, dict[str, int]] = defaultdict(dict)
        for mailing, state, number in counts:
            by_mailing[mailing][state] = number
        for mailing, states in by_mailing.items():
            account = books(session, mailing)
            told = (account.audience, account.sent, account.failed, account.in_doubt, account.open)
            skipped = sum(states.get(state, 0) for state in LEFT_OUT)
            counted = (
                sum(states.values()),
                sum(states.get(state, 0) for state in REACHED),
                states.get("failed", 0),
                states.get("in_doubt", 0),
                sum(states.get(state, 0) for state in ("pending", "deferred", "claimed")),
            )
            if not account.balanced or skipped != sum(account.skipped.values()):
                self._broken.append("I3 the books do not balance")
            if told != counted:
                self._broken.append("I8 a counter that is not a recount")


def _by_delivery(session: Session) -> dict[int, list[datetime]]:
    found: defaultdict[int, list[datetime]] = defaultdict(list)
    for number, at in session.execute(text(_DOUBTS)):
        found[number].append(at)
    return dict(found)
