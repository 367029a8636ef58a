"""The screenshots of the dashboard in docs/images, from the real page in a headless Chromium.

    python -m benchmarks.dashboard_screenshots

The built-in clip, fer_node and dashboard run as they do with ``make dashboard``.
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import cv2

from benchmarks.dashboard import Chain
from fer_ros.tools.demo import environment
from fer_ros.web.texts import Video

IMAGES = Path(__file__).resolve().parents[1] / 'docs' / 'images'
SCREENS = {'dashboard_desktop.png': (1600, 900, 'light'), 'dashboard_phone.png': (390, 844, 'dark')}
VIDEO = 'dashboard_video.png'
VIDEO_FRAME = 222
"""Of the built-in clip: both faces are there."""
LINES = 45.0
"""Seconds of lines to wait for."""


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--output', type=Path, default=IMAGES, help='folder (default: docs/images)')
    options = parser.parse_args()
    os.environ.update(environment())
    program = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if program is None:
        raise SystemExit('no browser: install chromium')
    from playwright.sync_api import sync_playwright
    with tempfile.TemporaryDirectory() as folder, Chain(Path(folder)) as chain, sync_playwright() as playwright:
        url = chain.url
        browser = playwright.chromium.launch(
            executable_path=program, args=['--no-sandbox'] if os.geteuid() == 0 else [])
        for name, (width, height, scheme) in SCREENS.items():
            page = browser.new_page(viewport={'width': width, 'height': height}, color_scheme=scheme)
            page.set_default_timeout(120_000)
            page.goto(url)
            page.wait_for_function(f'''() => {{
              const view = getElement(Number(document.querySelector('.fer-live')?.id.slice(1)));
              if (!(view?.now > {LINES} && view.pictureShown && view.faces.length === 2 && view.face)) return false;
              view.away = true;  // what is seen now stays
              return true;
            }}''')
            page.screenshot(path=options.output / name, full_page=True)
            page.close()
            _compress(options.output / name)
            print(options.output / name)
        _video(browser, url, options.output / VIDEO)
        browser.close()


def _video(browser, url: str, path: Path) -> None:
    """The built-in clip in the tab Video, where both faces are there."""
    page = browser.new_page(viewport={'width': 1280, 'height': 900})
    page.set_default_timeout(600_000)
    page.goto(url)
    page.get_by_role('tab', name='Video').click()
    page.get_by_role('button', name=Video.clip).click()
    page.get_by_role('link', name=Video.csv, exact=True).wait_for()
    slider = page.get_by_role('slider', name=Video.position)
    slider.fill(str(VIDEO_FRAME))
    page.wait_for_function(f'document.querySelector("canvas[data-frame]").dataset.painted === "{VIDEO_FRAME}"')
    page.evaluate('window.scrollTo(0, 0)')
    page.screenshot(path=path, full_page=True)
    page.close()
    _compress(path)
    print(path)


def _compress(path: Path) -> None:
    """Write it again as small as PNG can be."""
    image = cv2.imread(str(path))
    cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == '__main__':
    main()
