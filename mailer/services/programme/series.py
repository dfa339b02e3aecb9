"""Series: symposia that belong together, under a name and with the sentences that announce them."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.programme import Series
from mailer.services import audit
from mailer.services.programme.symposia import SymposiumRefusal
from mailer.visible import one_line, visible

LONGEST_NAME = 200  # characters
LONGEST_TEXT = 5_000


def find(session: Session, key: str) -> Series:
    """The series with this key. Raises SymposiumRefusal naming the known ones."""
    found = session.scalars(select(Series).where(Series.key == key)).one_or_none()
    if found is None:
        known = ", ".join(session.scalars(select(Series.key).order_by(Series.key))) or "none yet"
        raise SymposiumRefusal(f'There is no series "{key[:60]}". Known series: {known}.')
    return found


def describe(
    session: Session, key: str, *, name: str | None, text: str | None, actor: str, now: datetime
) -> Series:
    """Give a series another name or text, as its page and the mails show them; None leaves one as it is.

    Mails nobody. The key, and with it the address of its page and calendar, stays.
    """
    series = find(session, key)
    said, told = one_line(name or ""), visible(text or "").strip()
    if name is not None and not 1 <= len(said) <= LONGEST_NAME:
        raise SymposiumRefusal(f"A series has a name of at most {LONGEST_NAME} letters.")
    if len(told) > LONGEST_TEXT:
        raise SymposiumRefusal(f"The text of a series has at most {LONGEST_TEXT:,} letters. Shorten it.")
    series.name = series.name if name is None else said
    series.text = series.text if text is None else told
    audit.record(session, actor=actor, action="series-set", subject=f"series:{series.id}", now=now)
    return series
