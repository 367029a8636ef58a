"""A real browser: the system's Chromium, without a display."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'nodes'))

from chromium_program import NAMES, PATIENCE_MS, launch, program
from told import NOTE


@pytest.fixture(scope='session')
def chromium():
    """The browser, started once; a test opens contexts in it."""
    sync_api = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    path = program()
    if path is None:
        pytest.skip(f'no browser: none of {", ".join(NAMES)} is installed')
    with sync_api.sync_playwright() as playwright:
        try:
            browser = launch(playwright.chromium, path)
        except sync_api.Error as error:  # Ubuntu's is a stub that asks for a snap
            pytest.skip(f'{path} does not start: {error.message.splitlines()[0]}')
        yield browser
        browser.close()


class Watched:
    """A browser context whose pages' errors and requests are kept."""

    def __init__(self, context) -> None:
        self.context = context
        self.errors: list[str] = []
        self.requests: list[str] = []
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(NOTE)
        context.on('console', lambda message: self.errors.append(message.text) if message.type == 'error' else None)
        context.on('weberror', lambda error: self.errors.append(str(error.error)))
        context.on('request', lambda request: self.requests.append(request.url))

    def open(self, url: str):
        """A new page at `url`, built up and connected."""
        page = self.context.new_page()
        page.goto(url)
        page.wait_for_function('window.socket?.connected')
        return page


@pytest.fixture(scope='session')
def _kept(chromium):
    return Watched(chromium.new_context(viewport={'width': 900, 'height': 700}))


@pytest.fixture
def browser(_kept):
    """One whose cache is kept from test to test, which saves seconds; its pages are closed after the test."""
    _kept.errors.clear()
    yield _kept
    for page in _kept.context.pages:
        page.close()


@pytest.fixture
def watch(chromium):
    """Opens contexts, for example ``watch(viewport={'width': 390, 'height': 844})``: each is a browser of its own."""
    contexts = []

    def opened(**options) -> Watched:
        contexts.append(chromium.new_context(**options))
        return Watched(contexts[-1])
    yield opened
    for context in contexts:
        context.close()
