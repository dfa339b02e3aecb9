"""Rendering: what a mail is made of, what is refused, and that no template says a word of its own."""

import dataclasses
import re
import shutil
import subprocess
import sys
from gettext import NullTranslations
from pathlib import Path

import pytest

from mailer.messages import templates
from mailer.messages.catalogues import gettext_for, templates_folder, voice
from mailer.messages.facts import (
    CampaignFacts,
    Change,
    ChangedThing,
    ChangeFacts,
    Facts,
    OptInFacts,
    ReminderFacts,
    RetractionFacts,
    StatementFacts,
    Tense,
    WelcomeFacts,
)
from mailer.messages.slots import find_slots, text_slot
from mailer.messages.templates import LANGUAGES, Chrome, FactRefused, UnknownLanguage, render, render_in
from mailer.vocabulary import MailingKind
from tests.messages import mail_samples
from tests.messages.mail_samples import Size
from tests.messages.whole_mails import squeezed, whole_mail

ROOT = Path(__file__).parents[2]
LEAVE = {"unsubscribe_url", "preferences_url"}
SLOTS = {
    MailingKind.STATEMENT_ALERT: LEAVE,
    MailingKind.CORRECTION: LEAVE,
    MailingKind.RETRACTION: LEAVE,
    MailingKind.TRANSLATION: LEAVE,
    MailingKind.DIGEST: LEAVE,
    MailingKind.REGISTRATION_REQUEST: {"attend_url"},
    MailingKind.REGISTRATION_CONFIRMATION: {"first_name", "local_time", "registration_url"},
    MailingKind.WAITING_LIST: {"first_name", "local_time", "registration_url"},
    MailingKind.WITHDRAWAL: {"first_name", "local_time"},
    MailingKind.REMINDER: {"first_name", "local_time", "registration_url", "unsubscribe_url"},
    MailingKind.CHANGE: {"first_name", "local_time", "old_local_time", "registration_url"},
    MailingKind.DATE_FIXED: {"first_name", "local_time", "registration_url"},
    MailingKind.POSTPONED: {"first_name", "old_local_time", "registration_url"},
    MailingKind.FOLLOW_UP: {"first_name", "local_time", "unsubscribe_url"},
    MailingKind.CANCELLATION: {"first_name", "local_time"},
    MailingKind.CAMPAIGN: LEAVE | {"first_name"},
    MailingKind.OPT_IN: {"confirm_url"},
    MailingKind.WELCOME: LEAVE | {"first_name"},
}
REMINDER, STATEMENT = MailingKind.REMINDER, MailingKind.STATEMENT_ALERT


def statement(**changed: object) -> StatementFacts:
    facts = mail_samples.facts(STATEMENT, "en")
    assert isinstance(facts, StatementFacts)
    return dataclasses.replace(facts, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", MailingKind)
def test_both_parts_hold_the_slots_of_their_kind_and_no_other(kind: MailingKind) -> None:
    for language in LANGUAGES:
        rendered = render(kind, language, mail_samples.facts(kind, language), mail_samples.organisation())
        assert find_slots(rendered.html) == SLOTS[kind]
        assert find_slots(rendered.text) == SLOTS[kind]
        assert rendered.language == language


def test_without_an_hour_there_is_no_time_of_the_readers_own() -> None:
    rendered = render(
        REMINDER, "en", mail_samples.facts(REMINDER, "en", Size.BARE), mail_samples.organisation()
    )
    assert find_slots(rendered.html) == SLOTS[REMINDER] - {"local_time"}
    assert "(time to be announced)" in rendered.text


def test_an_opt_in_holds_no_word_that_a_stranger_could_have_typed() -> None:
    assert {field.name for field in dataclasses.fields(OptInFacts)} == {"topic_name", "valid_hours"}
    mail = whole_mail(MailingKind.OPT_IN, "en")
    assert "Anahit" not in mail.html + mail.text
    assert mail.text.count("https://www.example.org/c/ddf2b2kq5v7wq3p6") == 1


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en", "ar", "hy"}))
def test_a_fallback_is_said_in_the_readers_language_and_set_in_its_own(language: str) -> None:
    mail = whole_mail(STATEMENT, language)
    notice = mail.document.css_first("p.notice")
    prose = mail.document.css_first("td.prose")
    assert notice is not None
    assert prose is not None
    assert (
        gettext_for(language).gettext(
            "This text has not been translated yet. Language of the text: %(language)s."
        )
        % {"language": templates.language_name("en", said_in=language)}
        == notice.text()
    )
    assert (prose.attributes["lang"], prose.attributes["dir"]) == ("en", "ltr")
    assert notice.text() in mail.text.replace("\n", " ")


def test_a_text_in_the_readers_language_carries_no_such_line() -> None:
    assert whole_mail(STATEMENT, "hy").document.css_first("p.notice") is None


@pytest.mark.parametrize(
    ("lead", "phrase"),
    [("1w", "1 week before"), ("1d", "1 day before"), ("2h", "2 hours before"), ("30m", "30 minutes before")],
)
def test_a_reminder_says_how_far_before_it_was_planned(lead: str, phrase: str) -> None:
    facts = ReminderFacts(symposium=mail_samples.symposium("en"), lead=lead)
    rendered = render(REMINDER, "en", facts, mail_samples.organisation())
    assert f"It was planned for: {phrase} the start." in squeezed(rendered.text)


def test_a_reminder_is_true_at_the_moment_it_leaves() -> None:
    before, under_way = (
        render(
            REMINDER,
            "en",
            ReminderFacts(symposium=mail_samples.symposium("en"), lead="1h", tense=tense),
            mail_samples.organisation(),
        ).text
        for tense in (Tense.BEFORE, Tense.UNDER_WAY)
    )
    assert "is coming up" in before
    assert "has begun" in under_way
    assert "is coming up" not in under_way


def test_a_change_shows_old_and_new_time() -> None:
    mail = whole_mail(MailingKind.CHANGE, "en")
    struck = mail.document.css_first("span.was")
    assert struck is not None
    assert "12\u00a0noon" in struck.text()
    assert "1:00 PM" in mail.text


def test_titles_and_names_are_escaped_and_never_run() -> None:
    awkward = "<script>alert(1)</script> & {{ 7 * 7 }} {% for x in y %} %(name)s \" '"
    facts = statement(title=awkward, body=awkward, topic_name=awkward)
    organisation = dataclasses.replace(mail_samples.organisation(), name=awkward, postal_address=awkward)
    rendered = render(STATEMENT, "en", facts, organisation)
    assert "<script" not in rendered.html
    assert (
        "&lt;script&gt;alert(1)&lt;/script&gt; &amp; {{ 7 * 7 }} {% for x in y %} %(name)s" in rendered.html
    )
    assert squeezed(rendered.text).count(awkward) >= 4
    assert "49" not in rendered.text


def test_a_newline_in_a_title_cannot_leave_the_subject() -> None:
    rendered = render(
        STATEMENT, "en", statement(title="A statement\r\nBcc: x\u2028y\x85z"), mail_samples.organisation()
    )
    assert rendered.subject == "A statement Bcc: x y z"


def test_staffs_own_subject_is_never_cut_and_may_hold_a_name() -> None:
    facts = mail_samples.facts(MailingKind.CAMPAIGN, "en")
    assert isinstance(facts, CampaignFacts)
    subject = f"{text_slot('first_name')}, " + "a long subject " * 8
    rendered = render(
        MailingKind.CAMPAIGN, "uk", dataclasses.replace(facts, subject=subject), mail_samples.organisation()
    )
    assert rendered.subject == subject.strip()
    assert f"<title>друзі, {'a long subject ' * 8}".rstrip() in rendered.html


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"title": ""}, "title is blank"),
        ({"body": " \n"}, "body is blank"),
        ({"body": "![](https://www.example.org/picture.png)"}, "body has no text"),
        ({"topic_name": "\t"}, "topic_name is blank"),
        ({"title": text_slot("first_name")}, "title"),
        ({"body": "see https://slot.invalid/~confirm_url~"}, "body"),
        ({"url": "http://www.example.org/"}, "https"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "https://пример.example.org/"}, "url"),
        ({"url": "http://127.0.0.1.example.org/"}, "https"),
    ],
)
def test_a_fact_that_may_not_stand_in_a_mail_is_refused_by_name(changed: dict[str, str], word: str) -> None:
    with pytest.raises(FactRefused, match=word):
        render(STATEMENT, "en", statement(**changed), mail_samples.organisation())


def test_facts_inside_facts_are_checked_too() -> None:
    symposium = mail_samples.symposium("en")
    change = Change(what=ChangedThing.PLACE, old=" ", new="Online")
    with pytest.raises(FactRefused, match=r"change\.changes\.old is blank"):
        render(
            MailingKind.CHANGE,
            "en",
            ChangeFacts(symposium=symposium, changes=(change,)),
            mail_samples.organisation(),
        )
    organisation = dataclasses.replace(mail_samples.organisation(), postal_address="")
    with pytest.raises(FactRefused, match=r"organisation\.postal_address is blank"):
        render(MailingKind.OPT_IN, "en", OptInFacts(topic_name="Law"), organisation)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8025/s/1", "http://localhost:8000/", "http://[::1]/"])
def test_the_demo_on_this_machine_may_be_linked(url: str) -> None:
    assert url in render(STATEMENT, "en", statement(url=url), mail_samples.organisation()).text


def test_the_facts_of_another_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="takes ReminderFacts, not StatementFacts"):
        render(REMINDER, "en", statement(), mail_samples.organisation())


def test_a_language_without_a_catalogue_is_refused() -> None:
    with pytest.raises(UnknownLanguage, match='"de"'):
        render(STATEMENT, "de", statement(), mail_samples.organisation())


@pytest.mark.parametrize(
    "make",
    [
        lambda: ReminderFacts(symposium=mail_samples.symposium("en"), lead="soon"),
        lambda: ReminderFacts(symposium=mail_samples.symposium("en"), lead="0d"),
        lambda: ChangeFacts(symposium=mail_samples.symposium("en")),
        lambda: WelcomeFacts(topic_names=()),
    ],
)
def test_facts_that_make_no_sense_cannot_be_made(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"[Ll]ead|changed|topic"):
        make()


def test_templates_reach_nothing_that_eats_memory() -> None:
    environment = templates._environment(templates.chrome_for("en"))
    assert {"lipsum", "cycler", "namespace", "range", "joiner", "dict"}.isdisjoint(environment.globals)


class _Shouting(NullTranslations):
    """A pseudo-language: every word of the chrome is marked, and longer than in any real one."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}{' ~~~~~' * (1 + len(message) // 12)}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


def _facts_of(mail_facts: object) -> set[str]:
    found: set[str] = set()
    for field in dataclasses.fields(mail_facts):  # type: ignore[arg-type]
        value = getattr(mail_facts, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, str):
                found |= set(item.splitlines())
            elif dataclasses.is_dataclass(item):
                found |= _facts_of(item)
    return found


@pytest.mark.parametrize("kind", MailingKind)
def test_no_template_says_a_word_that_a_translator_does_not_see(kind: MailingKind) -> None:
    pseudo = Chrome(voice=voice("he"), catalogue=_Shouting())
    facts: Facts = mail_samples.facts(kind, "en", Size.LONG)
    if isinstance(facts, StatementFacts | CampaignFacts):
        facts = dataclasses.replace(facts, body="Body.", body_language="he")
    if isinstance(facts, RetractionFacts):
        facts = dataclasses.replace(facts, body_language="he")
    rendered = render_in(pseudo, kind, facts, mail_samples.organisation(Size.LONG))
    left = re.sub(r"⟦[^⟧]*⟧", "", squeezed(rendered.text))
    known = _facts_of(facts) | _facts_of(mail_samples.organisation(Size.LONG))
    for fact in sorted(known, key=len, reverse=True):
        left = left.replace(squeezed(fact), "") if len(fact) > 3 else left
    left = re.sub(r"https://slot\.invalid/~\w+~|\ue000\w+\ue001", "", left)
    # Only the date in words, in Hebrew here, and marks are left of the text.
    assert re.findall(r"[A-Za-z]{3,}", left) == []
    assert '<html lang="he" dir="rtl"' in rendered.html
    assert "text-align:right" in rendered.html


def test_templates_are_found_where_the_package_is_installed(tmp_path: Path) -> None:
    assert templates_folder() == ROOT / "templates"
    shutil.copytree(ROOT / "mailer", tmp_path / "mailer", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "templates", tmp_path / "mailer" / "templates")
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "from mailer.messages.templates import gettext_for, templates_folder\n"
            "print(templates_folder(), gettext_for('uk').gettext('friend'))",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert said.stdout.strip() == f"{tmp_path / 'mailer' / 'templates'} друзі"
