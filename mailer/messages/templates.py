"""The mail of one kind and language, rendered once: facts in, subject, HTML and text with slots out.

Templates are code: they are read from the disk, never from staff or a database, and what they see
is frozen facts and a handful of functions. Nothing here knows a recipient. A missing or unsafe fact
refuses the mailing; it never prints a blank.
"""

import re
from dataclasses import dataclass
from functools import lru_cache, partial
from gettext import NullTranslations

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.defaults import DEFAULT_NAMESPACE
from markupsafe import Markup
from selectolax.lexbor import LexborHTMLParser

from mailer.messages import lines, markup
from mailer.messages.catalogues import (
    LANGUAGES,
    UnknownLanguage,
    Voice,
    date_in_words,
    direction,
    gettext_for,
    language_name,
    neutral_name,
    number_in_words,
    same_time,
    templates_folder,
    voice,
)
from mailer.messages.fact_check import FactRefused, check_facts
from mailer.messages.facts import (
    FACTS_OF_KIND,
    CampaignFacts,
    DigestEntry,
    DigestFacts,
    Facts,
    Organisation,
    StatementFacts,
    SymposiumFacts,
)
from mailer.messages.form import Rendered
from mailer.messages.slots import Slot, split_slots, text_slot, url_slot
from mailer.vocabulary import MailingKind

__all__ = [
    "LANGUAGES",
    "Chrome",
    "FactRefused",
    "UnknownLanguage",
    "chrome_for",
    "direction",
    "gettext_for",
    "language_name",
    "neutral_name",
    "render",
    "render_in",
    "same_time",
    "templates_folder",
]

_SUBJECT_LEAST, _SUBJECT_MOST = 10, 78
_PREHEADER_LEAST, _PREHEADER_MOST, _PREHEADER_FILLED = 40, 130, 200
_OPENING_MOST = 240  # characters of each statement in a digest
_DIGEST_TOLD = 30  # statements told of with their first lines; of more the title is enough (R18)
# Invisible: it keeps mail programs from filling their preview line with the masthead. Three characters.
_FILLER = Markup("&#847;&zwnj;&nbsp;")
_LABEL = re.compile(r'aria-label="[^"]*"')
_INLINER = CSSInliner(
    keep_style_tags=False, keep_at_rules=False, load_remote_stylesheets=False, minify_css=True
)


@dataclass(frozen=True, kw_only=True)
class Chrome:
    """The language of everything around the text: its words and the way they run."""

    voice: Voice
    catalogue: NullTranslations


@dataclass(frozen=True, kw_only=True)
class Prose:
    """Markdown of staff or of a statement, rendered, in its own language. `opening`: its first words."""

    html: Markup
    text: str
    opening: str
    voice: Voice


@dataclass(frozen=True, kw_only=True)
class Told:
    """A statement as a digest tells of it; `opening` are its first lines, in the language of `voice`."""

    facts: DigestEntry
    opening: str
    voice: Voice


@dataclass(frozen=True, kw_only=True)
class Page:
    """What the frame needs beside the facts. `subject` is for title and label, where no slot may stand."""

    language: str
    direction: str
    near: str
    script_class: str
    subject: str
    preheader: str
    filler: Markup


def chrome_for(language: str) -> Chrome:
    """The chrome of one of LANGUAGES; raises UnknownLanguage for any other."""
    return Chrome(voice=voice(language), catalogue=gettext_for(language))


def render(kind: MailingKind, language: str, facts: Facts, organisation: Organisation) -> Rendered:
    """One mail with its slots still in it: a whole HTML document with inlined CSS, and its text twin.

    Raises FactRefused for facts that are blank, hold a slot marker where none may be, or hold a URL
    that is not https (http is let through to this machine only, for the demo); TypeError for the facts
    of another kind; UnknownLanguage.
    """
    return render_in(chrome_for(language), kind, facts, organisation)


def render_in(chrome: Chrome, kind: MailingKind, facts: Facts, organisation: Organisation) -> Rendered:
    """As `render`, with any chrome: a language under translation, or the tests' pseudo-language."""
    if type(facts) is not FACTS_OF_KIND[kind]:
        raise TypeError(
            f"A mailing of kind {kind} takes {FACTS_OF_KIND[kind].__name__}, not {type(facts).__name__}."
        )
    check_facts(facts, kind.value)
    check_facts(organisation, "organisation")
    environment = _environment(chrome)
    seen: dict[str, object] = {"facts": facts, "organisation": organisation}
    if isinstance(facts, StatementFacts | CampaignFacts):
        seen["body"] = _prose(facts.body, facts.body_language)

    if isinstance(facts, DigestFacts):
        seen["entries"] = [_told(entry) for entry in facts.entries[:_DIGEST_TOLD]]
        seen["rest"] = [_told(entry, lines_too=False) for entry in facts.entries[_DIGEST_TOLD:]]

    def fill(name: str) -> str:
        return environment.get_template(f"{kind.value}/{name}").render(seen).replace("\u202f", " ")

    subject = _subject(fill("subject.txt"), organisation, cut=kind is not MailingKind.CAMPAIGN)
    seen["page"] = _page(chrome, subject, _preheader(fill("preheader.txt"), subject, organisation))
    return Rendered(
        language=chrome.voice.language,
        subject=subject,
        html=_inlined(fill("body.html")),
        text=_plain(fill("body.txt")),
    )


@lru_cache(maxsize=32)
def _environment(chrome: Chrome) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates_folder() / "email"),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    # Jinja's own globals (lipsum, cycler, namespace, range, ...) can be made to eat memory; none is needed.
    for name in DEFAULT_NAMESPACE:
        del environment.globals[name]
    environment.install_gettext_translations(chrome.catalogue, newstyle=True)  # type: ignore[attr-defined]
    said_in = chrome.voice.language
    environment.globals.update(
        date_in_words=partial(date_in_words, said_in=said_in),
        direction=direction,
        gap=chrome.voice.gap,
        language_name=partial(language_name, said_in=said_in),
        number=partial(number_in_words, said_in=said_in),
        text_slot=text_slot,
        unbroken=lines.unbroken,
        offset_at_end=lines.offset_at_end,
        underline=lines.underline,
        url_slot=url_slot,
        voice=voice,
        when_line=_when_line,
    )
    return environment


def _when_line(symposium: SymposiumFacts) -> str:
    if symposium.offset is None or symposium.offset in symposium.when:
        return symposium.when
    return f"{symposium.when} · {symposium.offset}"


def _prose(markdown: str, language: str) -> Prose:
    body = markup.render(markdown, language=language)
    if not body.text.strip():
        raise FactRefused("The body has no text once its Markdown is read. Write some, without raw HTML.")
    safe = Markup(body.html)  # noqa: S704 -- markup.render gives only what its allow-list let through
    return Prose(html=safe, text=body.text, opening=_opening(body.html, language), voice=voice(language))


def _opening(html: str, language: str) -> str:
    """The first paragraph, and the next ones while it is no more than a "Dear ...,"."""
    told = ""
    for paragraph in LexborHTMLParser(html).css("p"):
        told = f"{told}{voice(language).gap}{' '.join(paragraph.text().split())}".strip()
        if lines.length(told) >= _PREHEADER_LEAST:
            break
    return told


def _told(entry: DigestEntry, *, lines_too: bool = True) -> Told:
    if not lines_too:
        return Told(facts=entry, opening="", voice=voice(entry.body_language))
    body = _prose(entry.body, entry.body_language)
    opening = body.opening or " ".join(body.text.split())
    return Told(facts=entry, opening=lines.shorten(opening, _OPENING_MOST), voice=body.voice)


def _subject(rendered: str, organisation: Organisation, *, cut: bool) -> str:
    """One line of 10 to 78 characters. Staff's own subject is never cut: preflight tells them instead."""
    subject = " ".join(rendered.split())
    if lines.length(subject) < _SUBJECT_LEAST:
        subject = f"{subject} – {organisation.name}"
    return lines.shorten(subject, _SUBJECT_MOST) if cut else subject


def _page(chrome: Chrome, subject: str, preheader: str) -> Page:
    missing = _PREHEADER_FILLED - lines.length(preheader)
    return Page(
        language=chrome.voice.language,
        direction=chrome.voice.direction,
        near=chrome.voice.near,
        script_class=chrome.voice.script_class,
        subject=_without_slots(subject, chrome.catalogue.gettext("friend")),
        preheader=preheader,
        filler=_FILLER * (missing // 3),
    )


def _without_slots(subject: str, name: str) -> str:
    """The subject as it reads to someone without a name."""
    pieces = (name if isinstance(piece, Slot) else piece for piece in split_slots(subject))
    return "".join(pieces)


def _preheader(rendered: str, subject: str, organisation: Organisation) -> str:
    """The lines of the template, then who writes: as many as it takes to reach 40 characters, cut at 130."""
    told = ""
    for line in (*rendered.splitlines(), organisation.name, *organisation.postal_address.splitlines()):
        sentence = " ".join(line.split())
        if not sentence or sentence == subject:
            continue
        told = f"{told}{_between(told)}{sentence}"
        if lines.length(told) >= _PREHEADER_LEAST:
            break
    return lines.shorten(told, _PREHEADER_MOST)


def _between(told: str) -> str:
    if not told:
        return ""
    return " " if told.endswith((".", "!", "?", ":", "։", "؟", "。", "！", "？")) else " · "


def _inlined(document: str) -> str:
    """The document with its CSS on the elements; media and dark CSS stay in their two blocks."""
    html = _INLINER.inline(document).replace(' data-css-inline="keep"', "")
    # The inliner writes "<" in an attribute as it is: right, but a mail program's filter may not think so.
    return _LABEL.sub(lambda label: label[0].replace("<", "&lt;").replace(">", "&gt;"), html, count=1)


def _plain(rendered: str) -> str:
    """The text part: at most one blank line in a row, folded, ended by one line feed."""
    kept: list[str] = []
    for line in lines.fold(rendered).split("\n"):
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).rstrip("\n") + "\n"
