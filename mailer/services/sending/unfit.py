"""Unfit: a mailing of which letter after letter cannot be composed is paused, and people are told.

A single letter that cannot be composed fails alone.
"""

from collections import Counter
from datetime import datetime

from sqlalchemy import update

from mailer.db.mailings import Mailing
from mailer.services.house import House
from mailer.services.incidents import raise_incident
from mailer.smtp.outcome import Outcome, Reason
from mailer.vocabulary import MailingState

IN_A_ROW = 3


class Unfits:
    """Counts, for each mailing, the letters in a row that could not be composed."""

    def __init__(self) -> None:
        self._in_a_row: Counter[int] = Counter()
        self._to_pause: set[int] = set()

    def note(self, mailing_id: int, outcome: Outcome) -> None:
        """One letter of this mailing has this outcome."""
        if outcome.reason is not Reason.RENDER:
            self._in_a_row.pop(mailing_id, None)
            return
        self._in_a_row[mailing_id] += 1
        if self._in_a_row[mailing_id] >= IN_A_ROW:
            self._to_pause.add(mailing_id)
            self._in_a_row.pop(mailing_id)

    def pause_mailings(self, house: House, now: datetime) -> None:
        """Pause what needs it, in a transaction of its own."""
        if not self._to_pause:
            return
        with house.database.write() as session:
            for mailing_id in sorted(self._to_pause):
                session.execute(
                    update(Mailing)
                    .where(Mailing.id == mailing_id, Mailing.state == MailingState.SENDING)
                    .values(state=MailingState.PAUSED)
                    .execution_options(synchronize_session=False)
                )
                words = (
                    f"{IN_A_ROW} letters in a row of mailing {mailing_id} could not be composed, so it is "
                    f"paused. The log names the rule (letter-unfit); mend it, then resume the mailing."
                )
                raise_incident(session, f"unfit:{mailing_id}", words, now)
        self._to_pause.clear()
