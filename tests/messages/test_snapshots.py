"""The mails as files to read. A change of template, wording or layout shows here as a diff.

After a change that is meant: UPDATE_SNAPSHOTS=1 pytest tests/messages/test_snapshots.py, then read the diff.
"""

import os
from pathlib import Path

import pytest

from mailer.messages import templates
from mailer.vocabulary import MailingKind
from tests.messages.whole_mails import FILLER, whole_mail

FOLDER = Path(__file__).parent / "snapshots"
LANGUAGES = ("en", "ar", "hy", "zh")
IN_EVERY_LANGUAGE = (MailingKind.CORRECTION, MailingKind.RETRACTION, MailingKind.TRANSLATION)
SHOWN = [
    (kind, language)
    for kind in MailingKind
    for language in (templates.LANGUAGES if kind in IN_EVERY_LANGUAGE else LANGUAGES)
]


def compare(name: str, told: str) -> None:
    path = FOLDER / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(told, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == told, f"{path} differs from what is rendered now"


@pytest.mark.parametrize(("kind", "language"), SHOWN)
def test_what_a_reader_is_told(kind: MailingKind, language: str) -> None:
    mail = whole_mail(kind, language)
    preheader = mail.document.css_first("div.preheader")
    assert preheader is not None
    opening = preheader.text().split(FILLER)[0]
    compare(f"{kind.value}.{language}.txt", f"Subject: {mail.subject}\nPreheader: {opening}\n\n{mail.text}")


@pytest.mark.parametrize(
    ("kind", "language"), [(MailingKind.STATEMENT_ALERT, "en"), (MailingKind.REMINDER, "ar")]
)
def test_what_a_mail_program_is_given(kind: MailingKind, language: str) -> None:
    mail = whole_mail(kind, language)
    compare(f"{kind.value}.{language}.html", mail.html.replace("\r\n", "\n"))
