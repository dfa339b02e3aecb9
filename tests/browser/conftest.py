"""One Chromium for all browser tests; without it they are skipped, and the reason is said."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.inspection import CHROMIUM, FLAGS, Screen


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(
            f"Chromium is not at {CHROMIUM} (Debian: apt-get install chromium fonts-noto-core fonts-noto-cjk)"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screen(chromium: Browser) -> Screen:
    return Screen(chromium)
