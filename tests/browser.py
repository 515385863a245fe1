"""A browser for tests of pages: the system's Chromium, offline; skipped where there is none.

A test module takes the fixture by `chromium = browser.chromium`.
"""

import contextlib
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


# Of a module, as each module has a fixture of its own, and a process runs one Playwright at a time.
@pytest.fixture(scope="module")
def chromium():
    """A headless browser."""
    pytest.importorskip("playwright", reason="needs playwright, of the dev extra")
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip(f"needs a browser on the path: {', '.join(NAMES)}")
    with sync_playwright() as playwright:
        # Its sandbox does not start for root, as which containers run.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser, url, *, offline=True, **options):
    """Open a page and yield it with the list of what went wrong in it.

    Args:
        browser: of the fixture.
        url: of the page.
        offline: whether it has no network.
        options: of the context: `viewport`, `color_scheme`, `java_script_enabled`.
    """
    context = browser.new_context(offline=offline, **options)
    try:
        page = context.new_page()
        problems = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", lambda request: problems.append(request.url))
        page.goto(url)
        yield page, problems
    finally:
        context.close()
