"""The 26 rules of a mail's HTML, R1 to R26, as checks of a whole mail.

A rule is a generator that yields what is wrong with the mail, in words; a good mail yields nothing.
test_mail_rules.py applies them to every mail and shows that each finds what it is there to find.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from itertools import pairwise

from selectolax.lexbor import LexborNode

from mailer.messages.catalogues import online_words
from mailer.messages.facts import CampaignFacts, ReminderFacts, StatementFacts, SymposiumFacts
from mailer.messages.lines import columns, is_right_to_left
from mailer.messages.templates import direction, neutral_name, render
from mailer.vocabulary import MailingKind
from tests.messages.mail_samples import Size
from tests.messages.whole_mails import (
    FILLER,
    LEAVABLE_KINDS,
    SYMPOSIUM_KINDS,
    TOPIC_KINDS,
    Mail,
    ancestors,
    effective,
    squeezed,
    style_of,
    text_nodes,
    whole_mail,
)

Rule = Callable[[Mail], Iterator[str]]

FORBIDDEN = "script form input button select textarea iframe object embed video audio link base img svg"
LOGICAL = re.compile(r"(margin|padding|border)-(inline|block)|inset-|text-align:\s*(start|end)", re.I)
GENERIC_LABELS = {
    "click here",
    "here",
    "more",
    "read more",
    "link",
    "this",
    "aquí",
    "ici",
    "тут",
    "هنا",
    "这里",
}
RELATIVE_DAYS = re.compile(
    r"\b(today|tomorrow|hoy|mañana|aujourd’hui|demain|сьогодні|завтра)\b|غد|امروز|فردا|今天|明天|վաղը|այսօր",
    re.I,
)
ARABIC_LETTER = re.compile(r"[\u0600-\u06ff]{2}")
LATIN_WORD = re.compile(r"[A-Za-z]{2,}")
DIRECTION_MARKS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def pixels(value: str) -> float:
    return float(value.removesuffix("px")) if value.endswith("px") else -1


def first_class(node: LexborNode) -> str:
    return (node.attributes.get("class") or "").split(" ")[0]


def one(mail: Mail, selector: str) -> LexborNode:
    found = mail.document.css_first(selector)
    assert found is not None, f"{mail}: no {selector}"
    return found


def as_said(fact: str, mail: Mail) -> str:
    """A fact as the mail says it: a place that is the word "Online" is said in the mail's language."""
    return online_words(mail.language, True) if fact.lower() == "online" else fact


def symposium_of(mail: Mail) -> SymposiumFacts | None:
    return getattr(mail.facts, "symposium", None)


def r1(mail: Mail) -> Iterator[str]:
    """Doctype, lang and dir, namespaces, charset first, viewport, a title that is the subject."""
    page, head = one(mail, "html").attributes, one(mail, "head")
    if not mail.html.lower().startswith("<!doctype html>"):
        yield "no doctype"
    if page.get("lang") != mail.language or page.get("dir") != direction(mail.language):
        yield f"lang and dir are {page.get('lang')}, {page.get('dir')}"
    if "xmlns:v" not in page or "xmlns:o" not in page:
        yield "no v: or o: namespace"
    first = next(iter(head.iter()))
    if first.attributes.get("charset") != "utf-8":
        yield "charset is not the first in head"
    if mail.document.css_first('meta[name="viewport"]') is None:
        yield "no viewport"
    title = one(mail, "title").text()
    if not title.strip() or title != mail.subject.replace(
        mail.values["first_name"], neutral_name(mail.language)
    ):
        yield f"the title is {title!r}"


def r2(mail: Mail) -> Iterator[str]:
    """One wrapper in body says role, label, lang and dir again."""
    wrappers = list(one(mail, "body").iter())
    if len(wrappers) != 1 or wrappers[0].tag != "div":
        yield "body holds more than one wrapper"
    wanted = {
        "role": "article",
        "aria-roledescription": "email",
        "aria-label": one(mail, "title").text(),
        "lang": mail.language,
        "dir": direction(mail.language),
    }
    if wrappers[0].attributes != wanted:
        yield f"the wrapper says {wrappers[0].attributes}"


def r3(mail: Mail) -> Iterator[str]:
    """Every cell says its direction and its alignment itself."""
    for cell in mail.document.css("td, th"):
        if cell.attributes.get("dir") not in ("ltr", "rtl"):
            yield f"a cell ({first_class(cell)}) without dir"
        if style_of(cell).get("text-align") not in ("left", "right"):
            yield f"a cell ({first_class(cell)}) without text-align"
    for cell in mail.document.css("td.content, td.foot, td.masthead"):
        if style_of(cell).get("text-align") != {"ltr": "left", "rtl": "right"}[direction(mail.language)]:
            yield "the text begins on the wrong side"


def r4(mail: Mail) -> Iterator[str]:
    """Physical sides only; Latin names isolated; mirrored borders; lines of Arabic letters not cramped."""
    if found := LOGICAL.search(mail.html):
        yield f"a logical property: {found[0]}"
    side = {"ltr": "left", "rtl": "right"}[direction(mail.language)]
    other = {"left": "right", "right": "left"}[side]
    for card in mail.document.css("td.card-cell"):
        if f"border-{side}" not in style_of(card) or f"border-{other}" in style_of(card):
            yield "the card's border is on the wrong side"
    for node in mail.document.css("blockquote, ul, ol"):
        way = next(n.attributes["dir"] for n in ancestors(node) if n.attributes.get("dir"))
        style, far = style_of(node), "right" if way == "ltr" else "left"
        shorthand = style.get("padding", "0").split()
        spaces = dict(zip(("top", "right", "bottom", "left"), shorthand * 4, strict=False))
        if f"border-{far}" in style or style.get(f"padding-{far}", spaces[far]) != "0":
            yield f"a {node.tag} is set off on the wrong side: {style}"
    for node, words in text_nodes(one(mail, "body")):
        around = list(ancestors(node))
        if direction(mail.language) == "rtl" and LATIN_WORD.search(words):
            spoken = next((n.attributes["lang"] for n in around if n.attributes.get("lang")), mail.language)
            isolated = any(n.tag == "bdi" or n.attributes.get("dir") == "ltr" for n in around)
            if not isolated and direction(str(spoken)) == "rtl":
                yield f"not isolated: {words!r}"
        if ARABIC_LETTER.search(words):
            size, height = pixels(effective(node, "font-size")), pixels(effective(node, "line-height"))
            if height < 1.6 * size:
                yield f"line-height {height} for letters of {size}: {words[:30]!r}"


def r5(mail: Mail) -> Iterator[str]:
    """Layout tables say so; data tables have a caption and scoped headings."""
    for table in mail.document.css("table"):
        attributes = table.attributes
        if attributes.get("role") == "presentation":
            for name in ("cellpadding", "cellspacing", "border"):
                if attributes.get(name) != "0":
                    yield f"a layout table without {name}=0"
        elif table.css_first("caption") is None:
            yield "a data table without caption"
        elif any(not heading.attributes.get("scope") for heading in table.css("th")):
            yield "a heading cell without scope"


def r6(mail: Mail) -> Iterator[str]:
    """One column of at most 600, centred, in a ghost table of 600 for Outlook."""
    style = style_of(one(mail, "table.column"))
    if (style.get("width"), style.get("max-width"), style.get("margin")) != ("100%", "600px", "0 auto"):
        yield f"the column is {style}"
    ghost = re.search(r"<!--\[if mso\]><table [^>]*width=\"600\"[^>]*>", mail.html)
    if ghost is None:
        yield "no ghost table"
    wide = [n for n in mail.document.css("[width]") if (n.attributes["width"] or "").rstrip("%") != "100"]
    if wide:
        yield "a fixed width outside Outlook's branch"


def r7(mail: Mail) -> Iterator[str]:
    """Conditional comments balanced, 96 pixels an inch, Arial, mso properties on the elements; no VML."""
    opened = re.findall(r"<!--\[if ([^\]]+)\]>", mail.html)
    if len(opened) != mail.html.count("<![endif]-->") or set(opened) - {"mso"}:
        yield "conditional comments are not balanced"
    for wanted in ("<o:PixelsPerInch>96</o:PixelsPerInch>", "font-family:Arial"):
        if wanted not in mail.html:
            yield f"no {wanted}"
    if "<v:" in mail.html.lower():
        yield "VML"
    for table in mail.document.css("table[role]"):
        if style_of(table).get("mso-table-lspace") != "0" or style_of(table).get("mso-table-rspace") != "0":
            yield "a table without mso-table-lspace"
    for cell in mail.document.css("td, th"):
        if style_of(cell).get("mso-line-height-rule") != "exactly":
            yield "a cell without mso-line-height-rule"


def r8(mail: Mail) -> Iterator[str]:
    """A hidden preheader of 40 to 130 characters comes first and is not the subject."""
    preheader = next(iter(next(iter(one(mail, "body").iter())).iter()))
    if first_class(preheader) != "preheader":
        yield "the preheader is not the first text"
    style = style_of(preheader)
    wanted = {"display": "none", "max-height": "0", "overflow": "hidden", "opacity": "0", "mso-hide": "all"}
    if not wanted.items() <= style.items():
        yield f"the preheader is not hidden: {style}"
    everything = preheader.text()
    words = everything.split(FILLER)[0]
    if not 40 <= len(words) <= 130:
        yield f"{len(words)} characters: {words!r}"
    if words.strip() == mail.subject:
        yield "the preheader is the subject"
    if not 180 <= len(everything) <= 220:
        yield f"filled to {len(everything)}"
    if "\u034f" in mail.text:
        yield "filler in the text part"


def r9(mail: Mail) -> Iterator[str]:
    """System fonts with Noto on each cell; nothing is loaded."""
    for cell in mail.document.css("td, th"):
        family = style_of(cell).get("font-family", "")
        if not ("-apple-system" in family and "'Noto Sans" in family and family.endswith("sans-serif")):
            yield f"a cell's font is {family!r}"
    if found := re.search(r"\ssrc=|url\(|@font-face|@import", mail.html):
        yield f"loads something: {found[0]}"


def r10(mail: Mail) -> Iterator[str]:
    """Sizes in px: body 16/26, h1 26/34, h2 20/28, nothing under 14 (more height for Arabic letters)."""
    if found := re.search(r"(font-size|line-height):\s*[\d.]+(rem|em|pt|%|;|\")", mail.html):
        yield f"not in px: {found[0]}"
    for node, words in text_nodes(one(mail, "body")):
        if pixels(effective(node, "font-size")) < 14:
            yield f"too small: {words[:30]!r}"
    for selector, size, height in (("td.content", 16, 26), ("h1", 26, 34), ("h2", 20, 28)):
        for node in mail.document.css(selector):
            measured = pixels(effective(node, "font-size")), pixels(effective(node, "line-height"))
            roomy = "tall" in " ".join((n.attributes.get("class") or "") for n in ancestors(node))
            if measured != (size, height) and not (
                roomy and measured[0] == size and measured[1] >= 1.6 * size
            ):
                yield f"{selector} is {measured}"


def r11(mail: Mail) -> Iterator[str]:
    """One h1, headings in order, margins inline, no layout that mail programs drop."""
    levels = [int((node.tag or "")[1:]) for node in mail.document.css("h1, h2, h3, h4, h5, h6")]
    if levels[0] != 1 or levels.count(1) != 1:
        yield f"headings {levels}"
    if any(after - before > 1 for before, after in pairwise(levels)):
        yield f"a level is left out: {levels}"
    for node in mail.document.css("p, ul, ol, blockquote, h1, h2, h3, h4"):
        if "margin" not in style_of(node):
            yield f"a {node.tag} without margin"
    if found := re.search(
        r"(display:\s*(inline-)?(flex|grid)|[;\"]position:|var\(|background-image)", mail.html
    ):
        yield f"layout: {found[0]}"


def r12(mail: Mail) -> Iterator[str]:
    """A button is a coloured cell around a link at least 44 high, with Outlook's spacers."""
    for cell in mail.document.css("td.button-cell"):
        link = cell.css_first("a")
        assert link is not None
        style, colour = style_of(link), cell.attributes.get("bgcolor")
        if style.get("display") != "inline-block" or style.get("border") != f"1px solid {colour}":
            yield f"the button's link is {style}"
        padding = pixels(style["padding"].split()[0])
        if 2 * padding + pixels(effective(link, "line-height")) + 2 < 44:
            yield "the button is lower than 44"
        if (cell.html or "").count("<!--[if mso]><i ") != 2:
            yield "no spacer for Outlook"
        if len(link.text(strip=True)) < 4:
            yield "the button does not name its action"


def r13(mail: Mail) -> Iterator[str]:
    """Links are underlined, say where they lead, lead to one place, over https or mailto."""
    places: dict[str, str] = {}
    for link in mail.document.css("a"):
        words, url = squeezed(link.text()), link.attributes.get("href") or ""
        if first_class(link) != "button-link" and style_of(link).get("text-decoration") != "underline":
            yield f"not underlined: {words!r}"
        if not url.startswith(("https://", "mailto:")):
            yield f"leads to {url!r}"
        if not words or words.lower() in GENERIC_LABELS or words.startswith("http"):
            yield f"does not say where it leads: {words!r}"
        if places.setdefault(words, url) != url:
            yield f"{words!r} leads to two places"


def r14(mail: Mail) -> Iterator[str]:
    """No picture of any kind."""
    if found := re.search(r"<(img|svg|picture)|srcset|data:|cid:|background=", mail.html, re.I):
        yield f"a picture: {found[0]}"


def r15(mail: Mail) -> Iterator[str]:
    """Dark mode is asked for, styled, and hooked for those who rewrite."""
    for name in ("color-scheme", "supported-color-schemes"):
        if one(mail, f'meta[name="{name}"]').attributes.get("content") != "light dark":
            yield f"no {name}"
    dark = mail.document.css("style")[-1].text()
    for wanted in (
        ":root { color-scheme: light dark",
        "(prefers-color-scheme: dark)",
        "[data-ogsc]",
        "[data-ogsb]",
    ):
        if wanted not in dark:
            yield f"no {wanted} in the dark block"


def r16(mail: Mail) -> Iterator[str]:
    """At most two style blocks, responsive then dark, small, and no @media in @media."""
    blocks = [block.text() for block in mail.document.css("style")]
    if len(blocks) > 2 or "max-width" not in blocks[0] or "prefers-color-scheme" not in blocks[-1]:
        yield f"{len(blocks)} style blocks, or in the wrong order"
    if sum(len(block.encode()) for block in blocks) >= 16_384:
        yield "too much style"
    for block in blocks:
        depth = 0
        for piece in re.findall(r"@media|[{}]", block):
            if piece == "@media" and depth:
                yield "@media in @media"
            depth += {"{": 1, "}": -1}.get(piece, 0)


def r17(mail: Mail) -> Iterator[str]:
    """Without any style block every text still has its size, colour and room."""
    for node, words in text_nodes(one(mail, "body")):
        for name in ("font-family", "font-size", "line-height", "color"):
            if not effective(node, name):
                yield f"{words[:30]!r} has no {name}"
    for selector in ("td.masthead", "td.content", "td.foot"):
        if "padding" not in style_of(one(mail, selector)) or "background-color" not in style_of(
            one(mail, selector)
        ):
            yield f"{selector} has no room or ground of its own"


def r18(mail: Mail) -> Iterator[str]:
    """Under 80 KB, far from where Gmail cuts."""
    if (size := len(mail.html.encode())) > 80_000:
        yield f"{size} octets"


def r19(mail: Mail) -> Iterator[str]:
    """Nothing that acts, loads or redirects."""
    if found := mail.document.css_first(",".join(FORBIDDEN.split())):
        yield f"<{found.tag}>"
    if found_text := re.search(r"\son\w+=|javascript:|@import|http-equiv", mail.html, re.I):
        yield found_text[0]


def r20(mail: Mail) -> Iterator[str]:
    """No reformatting, no guessing at numbers, dates and addresses."""
    if mail.document.css_first('meta[name="x-apple-disable-message-reformatting"]') is None:
        yield "reformatting is allowed"
    detection = one(mail, 'meta[name="format-detection"]').attributes.get("content") or ""
    for wanted in ("telephone=no", "date=no", "address=no"):
        if wanted not in detection:
            yield f"no {wanted}"


def r21(mail: Mail) -> Iterator[str]:
    """The footer: who writes, from where, why, and how to change it, leave it or read it elsewhere."""
    footer = one(mail, "#footer")
    words = squeezed(footer.text())
    places = {link.attributes.get("href") for link in footer.css("a")}
    for wanted in (mail.organisation.name, *mail.organisation.postal_address.splitlines()):
        if wanted not in words:
            yield f"no {wanted!r}"
    if (
        mail.kind in TOPIC_KINDS
        and not {mail.values["preferences_url"], mail.values["unsubscribe_url"]} <= places
    ):
        yield "no preferences or no unsubscribe"
    if (mail.kind in LEAVABLE_KINDS) != (mail.values["unsubscribe_url"] in places):
        yield "unsubscribe where there should be none, or none where there should be"
    if isinstance(mail.facts, StatementFacts | CampaignFacts):
        if mail.facts.topic_name not in words:
            yield "the topic is not named"
        elsewhere = mail.facts.url if isinstance(mail.facts, StatementFacts) else mail.facts.view_url
        if elsewhere and elsewhere not in places:
            yield "no view in browser"


def r22(mail: Mail) -> Iterator[str]:
    """Text first, with the same facts and links, folded at 72 columns, right-to-left lines left whole."""
    if [part.get_content_type() for part in parts(mail.message)] != ["text/plain", "text/html"]:
        yield "the parts are in the wrong order"
    for link in mail.document.css("a"):
        url = (link.attributes.get("href") or "").removeprefix("mailto:")
        if url not in mail.text:
            yield f"the text lacks {url}"
    said = squeezed(" ".join(words for _, words in text_nodes(one(mail, "body"))))
    spoken = squeezed(mail.text)
    for fact in (as_said(one, mail) for one in strings(mail.facts)):
        if squeezed(fact) not in spoken:
            yield f"the text lacks {fact!r}"
        if squeezed(fact) not in said and not fact.startswith("https:"):
            yield f"the HTML lacks {fact!r}"
    for line in mail.text.splitlines():
        if columns(line) > 72 and " " in line.strip() and not is_right_to_left(line):
            yield f"too wide: {line!r}"
    if found := DIRECTION_MARKS.search(mail.text):
        yield f"a direction mark: {found[0]!r}"
    if "slot.invalid" in mail.text + mail.html or "\ue000" in mail.text + mail.html:
        yield "an open slot"


def r23(mail: Mail) -> Iterator[str]:
    """A subject of 10 to 78 characters, in letters."""
    if not 10 <= len(mail.subject) <= 78:
        yield f"{len(mail.subject)} characters: {mail.subject!r}"
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", mail.subject) or not re.search(r"\w{2}", mail.subject):
        yield f"unreadable: {mail.subject!r}"


def r24(mail: Mail) -> Iterator[str]:
    """A symposium's mail says when in words with the offset, where, and never only "tomorrow"."""
    symposium = symposium_of(mail)
    if mail.kind not in SYMPOSIUM_KINDS or symposium is None:
        return
    for part in (squeezed(mail.document.body.text()) if mail.document.body else "", squeezed(mail.text)):
        if squeezed(symposium.when) not in part or (symposium.offset or "") not in part:
            yield "when is not said in full"
        if symposium.where and as_said(symposium.where, mail) not in part:
            yield "where is not said"
        if symposium.offset and squeezed(mail.values["local_time"]) not in part:
            yield "the reader's own time is missing"
    offered = symposium.calendar_url and mail.kind is not MailingKind.CANCELLATION
    if offered and mail.document.css_first(f'a[href="{symposium.calendar_url}"]') is None:
        yield "no link to the calendar file"
    over_for_them = mail.kind in (MailingKind.CANCELLATION, MailingKind.WITHDRAWAL)
    convertible = symposium.converter_url and not over_for_them
    if convertible and mail.document.css_first(f'a[href="{symposium.converter_url}"]') is None:
        yield "no link to the time on other clocks"
    if isinstance(mail.facts, ReminderFacts) and (found := RELATIVE_DAYS.search(mail.text)):
        yield f"a relative day: {found[0]}"
    if "\u202f" in mail.subject + mail.text + mail.html:
        yield "U+202F"


def r25(mail: Mail) -> Iterator[str]:
    """Printed on paper there are no buttons."""
    if not re.search(r"@media print \{[^@]*\.button \{ display: none", mail.document.css("style")[0].text()):
        yield "buttons are printed"


def r26(mail: Mail) -> Iterator[str]:
    """Rendering again gives the same, and two readers' mails differ in nothing but their values."""
    if mail.size is not Size.TYPICAL:
        return
    if render(mail.kind, mail.language, mail.facts, mail.organisation) != mail.rendered:
        yield "a second rendering differs"
    other = whole_mail(mail.kind, mail.language, mail.size, "Zaruhi")
    if other.html.replace("Zaruhi", "Anahit") != mail.html or other.text.count("Zaruhi") != mail.text.count(
        "Anahit"
    ):
        yield "another reader's mail differs in more than the name"


RULES: tuple[Rule, ...] = (
    r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12, r13, r14, r15, r16, r17, r18, r19, r20, r21, r22, r23,
    r24, r25, r26,
)  # fmt: skip


def parts(message: EmailMessage) -> list[EmailMessage]:
    return [part for part in message.iter_parts() if isinstance(part, EmailMessage)]


def strings(facts: object) -> Iterator[str]:
    """The facts a reader is told; Markdown, languages and codes are told in another shape."""
    for field in dataclasses.fields(facts):  # type: ignore[arg-type]
        value = getattr(facts, field.name)
        if field.name in ("body", "subject", "language", "body_language", "lead", "tense", "what", "offset"):
            continue
        if field.name in ("frequency", "published_on"):
            continue
        if field.name in ("calendar_url", "converter_url"):
            continue  # a cancellation offers neither; R24 sees to the others
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, str):
                yield item
            elif dataclasses.is_dataclass(item):
                yield from strings(item)
