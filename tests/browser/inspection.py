"""How a page is looked at in Chromium: axe's verdict, overflow, and what it tried to load."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    "--disable-lcd-text",
)
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_ADDRESS = "https://mail.test/"


@contextmanager
def shown(browser: Browser, html: str, **context: Any) -> Iterator[tuple[Page, list[str]]]:
    """A page that shows the document from a made-up host, and the list of all else it asked for."""
    asked: list[str] = []

    def answer(route: Route) -> None:
        if route.request.url == _ADDRESS:
            route.fulfill(body=html, content_type="text/html; charset=utf-8")
        else:
            asked.append(route.request.url)
            route.abort()

    opened = browser.new_context(**context)
    try:
        page = opened.new_page()
        page.route("**/*", answer)
        page.goto(_ADDRESS)
        page.evaluate(AXE)
        yield page, asked
    finally:
        opened.close()


def axe_problems(page: Page, *, off: tuple[str, ...] = ()) -> list[str]:
    """What axe finds on the page; a contrast it cannot decide counts as found."""
    options = {"runOnly": STANDARDS, "rules": {rule: {"enabled": False} for rule in off}}
    found = page.evaluate("options => axe.run(document, options)", options)
    undecided = [result for result in found["incomplete"] if result["id"] == "color-contrast"]
    return [
        f"{result['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
        for result in found["violations"] + undecided
        for node in result["nodes"]
    ]


def overflow(page: Page) -> list[str]:
    """The page's width against the window's, if it has to be scrolled sideways."""
    wide, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return [f"{wide} px wide in a window of {window}"] if wide > window else []
