"""A browser that no page can use to reach the web, for the tests of pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next(filter(None, map(shutil.which, BROWSERS)), None)
needs_browser = pytest.mark.skipif(
    PROGRAM is None, reason="needs Chromium, on Debian: apt-get install chromium"
)
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-background-networking"
    " --disable-component-update --disable-sync"
)


@contextmanager
def browsing() -> Iterator[Browser]:
    """The system's Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=ARGUMENTS.split())
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, address: str, width: int = 1280, dark: bool = False) -> Iterator[Page]:
    """A page that has been loaded; it must neither ask the web for anything nor report an error."""
    wrong = []
    context = browser.new_context(
        viewport={"width": width, "height": 720},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        offline=True,
    )
    page = context.new_page()
    page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: r.url.startswith(("http", "ws")) and wrong.append(r.url))
    page.goto(address)
    page.wait_for_timeout(50)  # The theme's scripts and transitions.
    yield page
    context.close()
    assert wrong == [], wrong
