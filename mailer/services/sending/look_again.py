"""Look again: who turns to another language does not go on waiting for a translation into the old one."""

from datetime import datetime

from sqlalchemy.orm import Session

from mailer.db import digest_texts, texts
from mailer.db.session import hint_after_commit
from mailer.services.sending.traits import TRAITS
from mailer.vocabulary import MailingKind
from mailer.wake import Task


def look_again(session: Session, subscriber_id: int, now: datetime) -> None:
    """Let what waits for this person be decided afresh; what has to wait for the new language does."""
    lifetime = TRAITS[MailingKind.STATEMENT_ALERT].lifetime
    if texts.wake_reader(session, subscriber_id, due_at=now, not_after=now + lifetime):
        hint_after_commit(session, Task.SEND_DUE)
    digest_texts.wake(session, now, subscriber_id=subscriber_id)
