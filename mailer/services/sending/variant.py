"""What mails of one mailing and language may still differ in; those of one variant share a form."""

from typing import NamedTuple

from mailer.db.digest_texts import Told
from mailer.services.sending.attendee import Manner
from mailer.services.sending.texts import Text


class Variant(NamedTuple):
    """`manner`: how it speaks to an attendee. `statements`: those that a digest tells of.

    `text`: a statement's text, as the claim chose it.
    """

    manner: Manner = Manner()
    statements: Told = ()
    text: Text | None = None
