"""The system's Chromium, without a display."""

import os
import shutil

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
PATIENCE_MS = 60_000


def program() -> str | None:
    """Its path; None if it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def launch(browser_type, path: str, *arguments: str):
    """Start it; `browser_type` is Playwright's."""
    return browser_type.launch(executable_path=path, args=[
        *(['--no-sandbox'] if os.geteuid() == 0 else []), '--disable-gpu', '--disable-dev-shm-usage', *arguments])
