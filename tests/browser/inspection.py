"""How a page is looked at in Chromium: axe's verdict, overflow, and what it tried to load."""

from importlib.resources import files
from pathlib import Path

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
# Told in few words already in the page: axe's whole result is a megabyte.
_PROBLEMS = """async options => {
  const found = await axe.run(document, options);
  const undecided = found.incomplete.filter(result => result.id === "color-contrast");
  return [...found.violations, ...undecided].flatMap(result => result.nodes.map(node =>
    `${result.id}: ${node.html.slice(0, 120)} ${node.failureSummary}`));
}"""
_ADDRESS = "https://mail.test/"


class Screen:
    """One window that shows documents from a made-up host and keeps what else they ask for."""

    def __init__(self, browser: Browser) -> None:
        self.asked: list[str] = []
        self.page = browser.new_page()
        self._html = ""
        self.page.route("**/*", self._answer)

    def show(self, html: str, *, width: int = 375) -> Page:
        """The page with this document on it, light, and nothing asked for yet."""
        self._html = html
        self.asked.clear()
        self.look(width=width)
        self.page.goto(_ADDRESS)
        return self.page

    def look(self, *, width: int, dark: bool = False, forced_colours: bool = False) -> None:
        """The same document in another window or by other wishes of the reader."""
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(
            color_scheme="dark" if dark else "light", forced_colors="active" if forced_colours else "none"
        )

    def _answer(self, route: Route) -> None:
        if route.request.url == _ADDRESS:
            route.fulfill(body=self._html, content_type="text/html; charset=utf-8")
        else:
            self.asked.append(route.request.url)
            route.abort()


def axe_problems(page: Page, *, off: tuple[str, ...] = (), iframes: bool = True) -> list[str]:
    """What axe finds on the page, and in its frames; a contrast it cannot decide counts as found."""
    options = {
        "iframes": iframes,
        "runOnly": STANDARDS,
        "rules": {rule: {"enabled": False} for rule in off},
        "resultTypes": ["violations", "incomplete"],
    }
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)  # add_script_tag would be stopped by a content security policy; this is not
    problems: list[str] = page.evaluate(_PROBLEMS, options)
    return problems


def overflow(page: Page) -> list[str]:
    """The page's width against the window's, if it has to be scrolled sideways."""
    wide, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return [f"{wide} px wide in a window of {window}"] if wide > window else []
