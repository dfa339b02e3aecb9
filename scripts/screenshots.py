"""Takes the pictures in docs/images: the mails in the demo's inbox and its pages, in a real browser.

Without `--inbox URL` it runs a demo of its own on a folder that is thrown away, and ends it afterwards.
The people in the pictures are invented; nothing leaves this machine.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PHONE = (390, 844)
DESKTOP = (1280, 800)
MOST_MAILS = 20_000  # looked at before giving up


class NoPicture(Exception):
    """Something that a picture needs is missing; the message says what."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One mail to be shown on a phone: its kind and language, and whether the phone is dark."""

    file: str
    kind: str
    language: str
    dark: bool = False


@dataclass(frozen=True, kw_only=True)
class View:
    """A page on a phone: the one behind the first link of this kind on the page of symposia."""

    file: str
    link: str  # how its address begins
    query: str = ""
    dark: bool = False


@dataclass(frozen=True, kw_only=True)
class Mail:
    number: int
    kind: str
    language: str


PICTURES = (
    Picture(file="alert-phone.png", kind="statement-alert", language="en"),
    Picture(file="alert-dark.png", kind="statement-alert", language="en", dark=True),
    Picture(file="alert-arabic.png", kind="statement-alert", language="ar"),
    Picture(file="reminder-phone.png", kind="reminder", language="uk"),
    Picture(file="change-phone.png", kind="change", language="en"),
)
VIEWS = (
    View(file="symposium-moved.png", link="/symposia/", query="zone=Asia/Yerevan"),
    View(file="series-phone.png", link="/series/"),
    View(file="series-persian.png", link="/series/", query="lang=fa", dark=True),
)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inbox", help="address of the inbox page of a demo that runs already")
    chosen = parser.parse_args(arguments)
    if chosen.inbox:
        take_all(chosen.inbox.rstrip("/"))
    else:
        with running_demo() as inbox:
            take_all(inbox)
    return 0


@contextmanager
def running_demo() -> Iterator[str]:
    """A demo with its own data and port; gives the address of its inbox once the story is told."""
    command = [str(Path(sys.executable).with_name("mailer")), "demo", "--json"]
    with tempfile.TemporaryDirectory(prefix="mailer-pictures-") as data:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MAILER_")}
        variables = {**clean, "MAILER_DATA": data, "MAILER_WEB_PORT": "0", "MAILER_LOG_LEVEL": "WARNING"}
        demo = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True)  # noqa: S603
        try:
            yield _inbox_of(demo)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(timeout=60)


def _inbox_of(demo: subprocess.Popen[str]) -> str:
    for line in demo.stdout or ():
        if line.startswith("{"):
            return str(json.loads(line)["inbox"])
    raise NoPicture(f"The demo ended with {demo.wait()} before it had anything to show.")


def take_all(inbox: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    wanted = {(one.kind, one.language) for one in PICTURES}
    mails = _find(inbox, wanted)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=_arguments())
        for picture in PICTURES:
            mail = mails[picture.kind, picture.language]
            _take(browser, f"{inbox}/{mail.number}/frame", PHONE, picture.file, dark=picture.dark)
        for view in VIEWS:
            url = _behind(browser, inbox.removesuffix("/inbox"), view)
            _take(browser, url, PHONE, view.file, dark=view.dark)
        _take(browser, inbox, DESKTOP, "inbox.png")
        browser.close()


def _take(browser: Browser, url: str, size: tuple[int, int], file: str, *, dark: bool = False) -> None:
    width, height = size
    page = browser.new_page(
        viewport={"width": width, "height": height},
        device_scale_factor=2 if size == PHONE else 1,
        color_scheme="dark" if dark else "light",
    )
    page.goto(f"{url}?dark=1" if dark and url.endswith("/frame") else url)
    page.screenshot(path=IMAGES / file)
    page.close()
    sys.stderr.write(f"Taken: docs/images/{file}\n")


def _behind(browser: Browser, home: str, view: View) -> str:
    """The address of a view: the first symposium that is ahead, or its series."""
    page = browser.new_page()
    page.goto(f"{home}/symposia")
    page.locator('main a[href^="/symposia/"]').first.click()
    if view.link != "/symposia/":
        page.locator(f'main a[href^="{view.link}"]').first.click()
    url = page.url.partition("?")[0]
    page.close()
    return f"{url}?{view.query}" if view.query else url


def _find(inbox: str, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], Mail]:
    """The first mail of each wanted kind and language."""
    found: dict[tuple[str, str], Mail] = {}
    for mail in _mails(inbox):
        if (mail.kind, mail.language) in wanted:
            found.setdefault((mail.kind, mail.language), mail)
        if len(found) == len(wanted):
            return found
    missing = ", ".join(" ".join(one) for one in sorted(wanted - set(found)))
    raise NoPicture(f"The inbox at {inbox} holds no mail of these: {missing}.")


def _mails(inbox: str) -> Iterator[Mail]:
    for number in range(1, MOST_MAILS):
        try:
            with urlopen(f"{inbox}/{number}/mail.eml", timeout=10) as answer:  # noqa: S310 - a page of ours
                yield _read(number, answer.read())
        except HTTPError as error:
            if error.code == 404:
                return
            raise
        except URLError as error:
            raise NoPicture(f"The inbox at {inbox} does not answer: {error.reason}.") from error


def _read(number: int, octets: bytes) -> Mail:
    message: EmailMessage = message_from_bytes(octets, policy=policy.default)
    html = message.get_body(("html",))
    text = str(html.get_content()) if html is not None else ""
    language = re.search(r"<html[^>]*\blang=\"?([a-z]+)", text)
    return Mail(number=number, kind=_kind(message), language=language[1] if language else "")


def _kind(message: EmailMessage) -> str:
    # Only bulk mail has a Feedback-ID (mailing:topic:kind:sender); of the rest only reminders can be left,
    # and the notice of a change says so in its subject.
    words = str(message.get("Feedback-ID", "")).split(":")
    if len(words) == 4:
        return words[2]
    if str(message.get("Subject", "")).startswith("Changed: "):
        return "change"
    return "reminder" if "List-Unsubscribe" in message and "Auto-Submitted" in message else ""


def _chromium() -> str:
    for name in ("chromium", "chromium-browser"):
        if path := shutil.which(name):
            return path
    raise NoPicture("There is no Chromium here. Install it: sudo apt-get install chromium")


def _arguments() -> list[str]:
    # Chromium's own sandbox refuses to work for root, as in a container.
    return ["--no-sandbox"] if os.geteuid() == 0 else []


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except NoPicture as problem:
        sys.exit(str(problem))
