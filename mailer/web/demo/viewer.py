"""The inbox viewer: a list with search, and each mail as HTML, text, headers, source and attachments.

It shows what the demo caught and can send nothing. A mail's HTML lives in a sandboxed
frame with a policy of its own: no script, no request, no form.
"""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mailer.services.desk.inbox import CaughtMail, Inbox
from mailer.web.demo.opened import Attachment, Opened, in_light, open_mail
from mailer.web.routes import page
from mailer.web.site import Visit, Visiting

router = APIRouter()

ON_A_PAGE = 50
SOURCE_OCTETS = 300_000  # of the source shown on the page; the rest is in the download
FRAME_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'self'"
)
UNSEEN = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}


class Tab(StrEnum):
    """The ways to look at a mail."""

    HTML = "html"
    TEXT = "text"
    HEADERS = "headers"
    SOURCE = "source"
    ATTACHMENTS = "attachments"


@dataclass(frozen=True)
class Look:
    """How wide and how dark the mail is shown."""

    phone: bool
    dark: bool


@page(router, "/inbox")
def show_list(visit: Visiting, q: str = "", page: str = "1") -> Response:
    inbox, query = _inbox(visit), q[:200]
    count = inbox.count(query)
    pages = max(1, -(-count // ON_A_PAGE))
    number = int(page) if page.isascii() and page.isdecimal() and len(page) < 7 else 0
    if not 1 <= number <= pages:
        raise HTTPException(404)
    entries = inbox.list((number - 1) * ON_A_PAGE, ON_A_PAGE, query)
    return _english(visit).page(
        "inbox.html", private=True, entries=entries, count=count, query=query, page=number, pages=pages
    )


@page(router, "/inbox/{number}")
def show_html(visit: Visiting, number: str, width: str = "", dark: str = "") -> Response:
    caught, opened = _opened(visit, number)
    if opened.html is None:
        return _mail(visit, caught, opened, Tab.TEXT)
    return _mail(visit, caught, opened, Tab.HTML, Look(phone=width == "phone", dark=dark == "1"))


@page(router, "/inbox/{number}/text")
def show_text(visit: Visiting, number: str) -> Response:
    return _mail(visit, *_opened(visit, number), Tab.TEXT)


@page(router, "/inbox/{number}/headers")
def show_headers(visit: Visiting, number: str) -> Response:
    return _mail(visit, *_opened(visit, number), Tab.HEADERS)


@page(router, "/inbox/{number}/source")
def show_source(visit: Visiting, number: str) -> Response:
    return _mail(visit, *_opened(visit, number), Tab.SOURCE)


@page(router, "/inbox/{number}/attachments")
def show_attachments(visit: Visiting, number: str) -> Response:
    return _mail(visit, *_opened(visit, number), Tab.ATTACHMENTS)


@page(router, "/inbox/{number}/frame")
def frame(visit: Visiting, number: str, dark: str = "") -> Response:
    _, opened = _opened(visit, number)
    if opened.html is None:
        raise HTTPException(404)
    headers = {**UNSEEN, "Content-Security-Policy": FRAME_POLICY}
    return HTMLResponse(in_light(opened.html, dark=dark == "1"), headers=headers)


@page(router, "/inbox/{number}/mail.eml")
def download_source(visit: Visiting, number: str) -> Response:
    caught, _ = _opened(visit, number)
    return _download(caught.data, "message/rfc822", f"mail-{caught.id}.eml")


@page(router, "/inbox/{number}/attachments/{part}")
def download(visit: Visiting, number: str, part: str) -> Response:
    _, opened = _opened(visit, number)
    wanted: list[Attachment] = [one for one in opened.attachments if str(one.number) == part]
    if not wanted:
        raise HTTPException(404)
    return _download(wanted[0].content, wanted[0].served_as, wanted[0].name)


def _download(content: bytes, content_type: str, name: str) -> Response:
    headers = {
        **UNSEEN,
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Response(content, media_type=content_type, headers=headers)


def _inbox(visit: Visit) -> Inbox:
    if visit.site.inbox is None:
        raise HTTPException(404)
    return visit.site.inbox


def _opened(visit: Visit, number: str) -> tuple[CaughtMail, Opened]:
    wanted = int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else 0
    caught = _inbox(visit).read(wanted)
    if caught is None:
        raise HTTPException(404)
    return caught, open_mail(caught.data)


def _mail(
    visit: Visit, caught: CaughtMail, opened: Opened, tab: Tab, look: Look = Look(phone=False, dark=False)
) -> Response:
    newest = _inbox(visit).count()
    return _english(visit).page(
        "mail.html",
        private=True,
        caught=caught,
        opened=opened,
        tab=tab,
        tabs=[one for one in Tab if one is not Tab.HTML or opened.html is not None],
        look=look,
        newer=caught.id + 1 if caught.id < newest else None,
        older=caught.id - 1 if caught.id > 1 else None,
        source=caught.data[:SOURCE_OCTETS].decode("utf-8", "replace") if tab is Tab.SOURCE else "",
        cut=len(caught.data) > SOURCE_OCTETS,
        leave=_local(visit, opened.one_click),
        links=[(_local(visit, address) or address, words) for address, words in opened.links],
    )


def _english(visit: Visit) -> Visit:
    """The viewer is for those who try the program out; it speaks English only."""
    return Visit(visit.site, visit.path, visit.query, "en", None, visit.now)


def _local(visit: Visit, address: str | None) -> str | None:
    """The path of an address of this site, so that it works under whatever name the demo is reached."""
    if address is None or not address.startswith(f"{visit.house.settings.base_url}/"):
        return None
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
