"""One Chromium for each file of browser tests; without it they are skipped, and the reason is said.

Not one for the whole run: while Playwright is open its event loop runs, and no other test could start one.
"""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.inspection import CHROMIUM, FLAGS, Screen


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        said = (
            f"Chromium is not at {CHROMIUM} (Debian: apt-get install chromium fonts-noto-core fonts-noto-cjk)"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def screen(chromium: Browser) -> Screen:
    return Screen(chromium)
