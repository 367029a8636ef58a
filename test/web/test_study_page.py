"""The page of valence_report in a real browser."""

import sys
from pathlib import Path

import pytest

from fer_ros.drawing.study_report import study_report

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'drawing'))
from test_study_report import study


@pytest.mark.parametrize(('width', 'media', 'scheme', 'back'), [
    (1150, 'screen', 'light', 'rgb(255, 255, 255)'), (390, 'screen', 'dark', 'rgb(22, 24, 27)'),
    (680, 'print', 'dark', 'rgb(255, 255, 255)')])
def test_it_fits_in_each_medium_and_fetches_nothing(watch, tmp_path, width, media, scheme, back):
    path = tmp_path / 'report.html'
    path.write_text(study_report('A study', *study()), encoding='utf-8')
    browser = watch(viewport={'width': width, 'height': 800}, color_scheme=scheme)
    page = browser.context.new_page()
    page.emulate_media(media=media)
    page.goto(path.as_uri())
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    assert page.evaluate('getComputedStyle(document.body).backgroundColor') == back
    assert page.locator('svg').count() == 1 + 6 + 6
    assert page.locator('polyline').last.bounding_box()['width'] > 10
    assert browser.errors == [] and browser.requests == [path.as_uri()]
