"""Every mail keeps every rule, and every rule finds its break."""

import dataclasses

import html5lib  # type: ignore[import-untyped]
import pytest
from html5lib.constants import E as REASONS  # type: ignore[import-untyped]

from mailer.messages.facts import WelcomeFacts
from mailer.vocabulary import MailingKind
from tests.messages import mail_rules as rules
from tests.messages import mail_samples
from tests.messages.mail_rules import RULES, Rule
from tests.messages.mail_samples import Size
from tests.messages.whole_mails import every_mail, whole_mail


@pytest.mark.parametrize("rule", RULES, ids=[rule.__name__.upper() for rule in RULES])
def test_every_mail_keeps_the_rule(rule: Rule) -> None:
    broken = [f"{mail}: {problem}" for mail in every_mail() for problem in rule(mail)]
    assert broken == []


def test_every_mail_is_html_without_a_parse_error() -> None:
    for mail in (whole_mail(kind, language, Size.LONG) for kind in MailingKind for language in ("en", "ar")):
        parser = html5lib.HTMLParser()
        parser.parse(mail.html)
        assert [(place, REASONS[code]) for place, code, _ in parser.errors] == [], str(mail)


# What each rule is there to find: a change to the HTML of a good mail (or to its text or subject).
BREAKS: list[tuple[Rule, MailingKind, str, str, str]] = [
    (rules.r1, MailingKind.REMINDER, "html", '<html lang="ar"', '<html lang="en"'),
    (rules.r1, MailingKind.REMINDER, "html", "<title>", "<title>x"),
    (rules.r2, MailingKind.REMINDER, "html", 'role="article"', 'role="document"'),
    (rules.r3, MailingKind.REMINDER, "html", ' dir="rtl"', ' x="rtl"'),
    (rules.r3, MailingKind.REMINDER, "html", "text-align:right", "text-align:start"),
    (rules.r4, MailingKind.REMINDER, "html", "margin:0 0 16px", "margin-inline:16px"),
    (rules.r4, MailingKind.REMINDER, "html", "border-right:4px", "border-left:4px"),
    (rules.r4, MailingKind.REMINDER, "html", '<bdi>Ararat Institute', '<b>Ararat Institute'),
    (rules.r4, MailingKind.REMINDER, "html", "line-height:28px", "line-height:20px"),
    (rules.r4, MailingKind.STATEMENT_ALERT, "html", "padding:2px 16px 2px 0", "padding:2px 0 2px 16px"),
    (rules.r4, MailingKind.STATEMENT_ALERT, "html", "padding-right:24px", "padding-left:24px"),
    (rules.r5, MailingKind.REMINDER, "html", 'cellspacing="0"', 'cellspacing="2"'),
    (rules.r5, MailingKind.REMINDER, "html", 'role="presentation"', "x"),
    (rules.r6, MailingKind.REMINDER, "html", "max-width:600px", "max-width:700px"),
    (rules.r7, MailingKind.REMINDER, "html", "<![endif]-->", "-->"),
    (rules.r7, MailingKind.REMINDER, "html", "mso-table-lspace:0", "x:0"),
    (rules.r8, MailingKind.REMINDER, "html", "display:none", "display:block"),
    (rules.r9, MailingKind.REMINDER, "html", "-apple-system, ", ""),
    (rules.r9, MailingKind.REMINDER, "html", "<p", '<p src="https://example.org"'),
    (rules.r10, MailingKind.REMINDER, "html", "font-size:14px", "font-size:12px"),
    (rules.r10, MailingKind.REMINDER, "html", "font-size:16px", "font-size:1rem"),
    (rules.r11, MailingKind.REMINDER, "html", "<h1", "<h2"),
    (rules.r11, MailingKind.REMINDER, "html", "vertical-align:top", "display:flex"),
    (rules.r12, MailingKind.REMINDER, "html", "padding:10px 24px", "padding:2px 24px"),
    (rules.r13, MailingKind.REMINDER, "html", "text-decoration:underline", "text-decoration:none"),
    (rules.r13, MailingKind.REMINDER, "html", 'href="https://www.example.org/u/', 'href="http://www.example.org/u/'),
    (rules.r14, MailingKind.REMINDER, "html", "<h1", "<img><h1"),
    (rules.r15, MailingKind.REMINDER, "html", "[data-ogsc]", ".ogsc"),
    (rules.r16, MailingKind.REMINDER, "html", "<h1", "<style></style><h1"),
    (rules.r16, MailingKind.REMINDER, "html", "@media print {", "@media print { @media screen {"),
    (rules.r17, MailingKind.REMINDER, "html", "color:#", "x:#"),
    (rules.r18, MailingKind.REMINDER, "html", "<h1", "x" * 80_000 + "<h1"),
    (rules.r19, MailingKind.REMINDER, "html", "<h1", "<h1 onclick=''"),
    (rules.r19, MailingKind.REMINDER, "html", "<h1", "<form></form><h1"),
    (rules.r20, MailingKind.REMINDER, "html", "telephone=no", "telephone=yes"),
    (rules.r21, MailingKind.REMINDER, "html", "https://www.example.org/u/", "https://www.example.org/x/"),
    (rules.r21, MailingKind.REMINDER, "html", "New York, NY 10001, USA", ""),
    (rules.r21, MailingKind.STATEMENT_ALERT, "html", "https://www.example.org/p/", "https://www.example.org/x/"),
    (rules.r22, MailingKind.REMINDER, "text", "https://www.example.org/u/", "https://www.example.org/x/"),
    (rules.r22, MailingKind.REMINDER, "text", "Restorative", "Retributive"),
    (rules.r22, MailingKind.REMINDER, "text", "Restorative", "\u200eRestorative"),
    (rules.r22, MailingKind.REMINDER, "text", "New York, NY", "New York, " + "NY " * 30),
    (rules.r23, MailingKind.REMINDER, "subject", ": ", ": " + "x" * 70),
    (rules.r23, MailingKind.REMINDER, "subject", ": ", ":\r\n"),
    (rules.r24, MailingKind.REMINDER, "text", "UTC-4", "UTC"),
    (rules.r24, MailingKind.REMINDER, "html", "restorative-justice.ics", "restorative-justice.txt"),
    (rules.r25, MailingKind.REMINDER, "html", "@media print", "@media screen"),
    (rules.r26, MailingKind.REMINDER, "html", "<h1", "<h1 id='reader-7'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "kind", "part", "good", "bad"), BREAKS, ids=[f"{b[0].__name__}-{b[3][:20]}" for b in BREAKS]
)
def test_each_rule_finds_its_break(rule: Rule, kind: MailingKind, part: str, good: str, bad: str) -> None:
    mail = whole_mail(kind, "ar")
    whole = getattr(mail, part)
    assert good in whole
    broken = dataclasses.replace(mail, **{part: whole.replace(good, bad)})
    assert list(rule(mail)) == []
    assert list(rule(broken)) != []


def test_every_rule_has_a_break() -> None:
    assert {rule for rule, *_ in BREAKS} == set(RULES)


def test_a_welcome_names_every_topic_in_both_parts() -> None:
    mail = whole_mail(MailingKind.WELCOME, "en", Size.LONG)
    assert isinstance(mail.facts, WelcomeFacts)
    for name in mail.facts.topic_names:
        assert name in mail.text
        assert name in {item.text() for item in mail.document.css("li")}


def test_samples_differ_where_they_say_they_do() -> None:
    bare, long = (mail_samples.symposium("en", size) for size in (Size.BARE, Size.LONG))
    assert (bare.series, bare.where, bare.calendar_url, bare.offset) == (None, None, None, None)
    assert long.end_assumed
    assert len(long.title) > 78
