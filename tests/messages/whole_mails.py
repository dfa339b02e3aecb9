"""Whole mails, from facts to bytes and back: rendered, compiled, filled, read by the stdlib's parser.

What the tests look at is what a recipient's mail program gets, not what the template meant.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import cache

from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailer.messages import templates
from mailer.messages.facts import Facts, Organisation
from mailer.messages.form import MailingHeaders, Rendered, compile_form
from mailer.vocabulary import MailingKind
from tests.messages import mail_samples
from tests.messages.mail_samples import Size

ANSWERING_KINDS = (MailingKind.CORRECTION, MailingKind.RETRACTION, MailingKind.TRANSLATION)
TOPIC_KINDS = (
    MailingKind.STATEMENT_ALERT,
    MailingKind.DIGEST,
    *ANSWERING_KINDS,
    MailingKind.CAMPAIGN,
    MailingKind.WELCOME,
)
LEAVABLE_KINDS = (*TOPIC_KINDS, MailingKind.REMINDER, MailingKind.FOLLOW_UP)
SYMPOSIUM_KINDS = (
    MailingKind.REGISTRATION_CONFIRMATION,
    MailingKind.WAITING_LIST,
    MailingKind.WITHDRAWAL,
    MailingKind.REMINDER,
    MailingKind.CHANGE,
    MailingKind.DATE_FIXED,
    MailingKind.CANCELLATION,
)
# What stands behind the preheader so that nothing else shows in a list of mails.
FILLER = "\u034f\u200c\u00a0"
# Said by the web part, not by the mail.
ENVELOPE = {
    "to_address": "reader@example.org",
    "date": "Thu, 26 Sep 2024 16:00:00 +0000",
    "message_id": "<b5qv7n4k@example.org>",
    "in_reply_to": "<earlier.q3wz@example.org>",
    "unsubscribe_mailto": "mailto:u+b5qv7n4k@bounces.example.org?subject=unsubscribe",
}


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One filled mail as read back. `document` is its HTML once parsed."""

    kind: MailingKind
    language: str
    size: Size
    facts: Facts
    organisation: Organisation
    rendered: Rendered
    message: EmailMessage
    subject: str
    html: str
    text: str
    values: dict[str, str]

    @property
    def document(self) -> LexborHTMLParser:
        return _parsed(self.html)

    def __str__(self) -> str:
        return f"{self.kind.value}/{self.language}/{self.size.value}"


@cache
def _parsed(html: str) -> LexborHTMLParser:
    return LexborHTMLParser(html)


def headers(kind: MailingKind) -> MailingHeaders:
    leavable = kind in LEAVABLE_KINDS
    return MailingHeaders(
        from_name="Ararat Institute",
        from_address="office@example.org",
        list_id="statements.lists.example.org" if leavable else None,
        list_name="Statements" if leavable else None,
        unsubscribe=leavable,
        bulk=kind in TOPIC_KINDS,
        auto_submitted=kind not in TOPIC_KINDS,
        in_reply_to=kind in ANSWERING_KINDS,
    )


@cache
def whole_mail(kind: MailingKind, language: str, size: Size = Size.TYPICAL, name: str = "Anahit") -> Mail:
    facts, organisation = mail_samples.facts(kind, language, size), mail_samples.organisation(size)
    rendered = templates.render(kind, language, facts, organisation)
    values = mail_samples.values(kind, language, name=name)
    octets = compile_form(rendered, headers(kind)).fill(ENVELOPE | values)
    message = message_from_bytes(octets, policy=default)
    assert isinstance(message, EmailMessage)
    text, html = message.iter_parts()
    return Mail(
        kind=kind,
        language=language,
        size=size,
        facts=facts,
        organisation=organisation,
        rendered=rendered,
        message=message,
        subject=str(message["Subject"]),
        html=html.get_content(),
        text=text.get_content().replace("\r\n", "\n"),
        values=values,
    )


def every_mail(*kinds: MailingKind) -> Iterator[Mail]:
    """Every kind (or those named) in every language, short, typical, long and without optional facts."""
    for kind, language, size in itertools.product(kinds or MailingKind, templates.LANGUAGES, Size):
        yield whole_mail(kind, language, size)


def style_of(node: LexborNode) -> dict[str, str]:
    """The inline style as a mapping; a later declaration of the same property wins."""
    declarations = (node.attributes.get("style") or "").split(";")
    pairs = (declaration.partition(":") for declaration in declarations if declaration.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def ancestors(node: LexborNode) -> Iterator[LexborNode]:
    """The element itself and everything around it, inside out."""
    current: LexborNode | None = node
    while current is not None and current.tag != "-undef":
        yield current
        current = current.parent


def effective(node: LexborNode, name: str) -> str:
    """The inherited inline value of a property; empty if nothing says it."""
    return next((style[name] for style in map(style_of, ancestors(node)) if name in style), "")


def text_nodes(node: LexborNode) -> Iterator[tuple[LexborNode, str]]:
    """Every piece of visible text with the element it stands in; the preheader is not visible."""
    for child in node.iter(include_text=True):
        if child.tag == "-text":
            if (words := child.text(deep=False)) and words.strip():
                yield node, words
        elif child.tag not in ("style", "title", "head") and child.attributes.get("class") != "preheader":
            yield from text_nodes(child)


def squeezed(text: str) -> str:
    """Text with every run of blanks, no-break ones included, as one space."""
    return " ".join(text.split())
