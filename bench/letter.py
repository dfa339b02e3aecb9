"""The mail of the bench: a short statement, in the frame that every alert has.

The frame alone (dark mode, narrow screens, footer) weighs more than the words, so the statement is one
paragraph; the octets on the wire are measured and printed. Its words are invented; the first name is the
only personal thing in it, as in a real alert.
"""

from datetime import date, datetime

from sqlalchemy.orm import Session

from mailer.db.programme import Statement, StatementText
from mailer.smtp.letter import Letter

READY_MADE = 7_000  # octets of a letter for the rows that measure the engine alone
_PARAGRAPH = (
    "We have read the reports of this month with great care, and we ask every reader to look at them "
    "as well. What is written here was seen by witnesses, set down on the day, and compared by two people."
)


def write_statement(session: Session, key: str, now: datetime) -> Statement:
    """Store one statement in English under this key."""
    statement = Statement(key=key, slug=key, language="en", dated=date(2024, 2, 1), created_at=now)
    session.add(statement)
    session.flush()
    session.add(
        StatementText(
            statement_id=statement.id,
            language="en",
            title="A statement to everyone who reads us",
            body=_PARAGRAPH,
            created_at=now,
        )
    )
    return statement


def ready_made(count: int, size: int = READY_MADE, *, first: int = 1) -> list[Letter]:
    """Letters that are composed already, for the rows that measure the engine alone."""
    line = b"The words of a statement, as plain as they are, in a line of seventy-six.\r\n"
    head = (
        b"From: News <news@example.org>\r\nTo: reader%d@example.org\r\nSubject: A statement\r\n"
        b"Message-ID: <%d@example.org>\r\n\r\n"
    )
    body = line * max(1, (size - len(head)) // len(line))
    return [
        Letter(
            id=number,
            fence=1,
            sender=f"b+{number}@bounces.example.org",
            recipient=f"reader{number}@example.org",
            data=head % (number, number) + body,
        )
        for number in range(first, first + count)
    ]
