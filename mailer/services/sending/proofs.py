"""Proofs: a mail as one reader would get it, filled by the same form, whose links lead nowhere."""

import json
import secrets
from datetime import datetime
from email.utils import format_datetime

from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.people import Topic
from mailer.db.programme import Statement
from mailer.messages import templates
from mailer.messages.form import Form
from mailer.services.house import House
from mailer.services.sending.compose import build_form
from mailer.services.sending.content import read_content
from mailer.services.sending.embargo_rows import alert_key
from mailer.services.sending.texts import text_ahead
from mailer.services.sending.variant import Variant
from mailer.vocabulary import MailingKind


def of_statement(
    session: Session,
    house: House,
    statement: Statement,
    topic: Topic,
    *,
    language: str,
    address: str,
    name: str | None,
    now: datetime,
) -> bytes:
    """A statement's alert as it stands now, its subject marked: it is for staff alone.

    Raises FormError for a text that makes no mail.
    """
    kind = MailingKind.STATEMENT_ALERT
    mailing = Mailing(kind=kind, statement_id=statement.id, topic_id=topic.id, facts={})
    text = text_ahead(session, mailing, json.dumps([language]))
    content = read_content(session, house, mailing, language, variant=Variant(text=text))
    label = alert_key(statement.id)
    form = build_form(house, kind, language, content, label=label, calendar=False, test=True)
    return fill(house, form, language=language, address=address, name=name, now=now)


def fill(house: House, form: Form, *, language: str, address: str, name: str | None, now: datetime) -> bytes:
    """The form filled for nobody's subscription: its links to leave and to preferences lead nowhere."""
    return form.fill(
        {
            "to_address": address,
            "date": format_datetime(now),
            "message_id": f"<proof.{secrets.token_hex(16)}@{house.sending_domain}>",
            "first_name": name or templates.neutral_name(language),
            "unsubscribe_url": house.url("u", "proof"),
            "unsubscribe_mailto": f"mailto:{house.settings.contact_address}?subject=proof",
            "preferences_url": house.url("p", "proof"),
        }
    )
