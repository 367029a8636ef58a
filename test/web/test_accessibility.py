"""The page for those who see little, use no mouse, or listen: in light and dark, with a mouse and with a finger."""

import dataclasses
from itertools import product

import pytest

pytest.importorskip('playwright.sync_api', reason='playwright is not installed')

from accessibility import problems, settle
from dashboard_harness import Dashboard, Fer, face
from slow_job import SlowJob
from told import wait_until_told

from fer_ros.web.texts import Live, Login, Video
from fer_ros.web.theme import COLOURS, contrast

MOUSE = {'viewport': {'width': 1280, 'height': 800}}
FINGER = {'viewport': {'width': 390, 'height': 844}, 'has_touch': True, 'is_mobile': True}


@pytest.fixture(scope='module')
def slow_job(tmp_path_factory):
    """Lets the analysis of a video wait, so that the page that shows it can be looked at."""
    return SlowJob(tmp_path_factory.mktemp('slow') / 'job', first=60)


@pytest.fixture(scope='module')
def dashboard(tmp_path_factory, slow_job):
    with Dashboard(tmp_path_factory.mktemp('accessible') / 'log', patient=True, path=slow_job.folder,
                   visitor_camera=True) as program:
        yield program
        assert program.end() == 0


@pytest.fixture(scope='module')
def fer():
    with Fer() as node:
        turned = dataclasses.replace(face('fb', 0.1, box=(400.0, 80.0, 120.0, 120.0)), quality=0.1)
        node.faces = (face('fa', 0.9), turned)
        yield node


def problems_in_light_and_dark(page) -> list[str]:
    found = []
    for scheme in ('light', 'dark'):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f'document.body.classList.contains("body--{scheme}")')
        settle(page)
        found += [f'{scheme}: {problem}' for problem in problems(page)]
    return found


SETTLED = 1500
"""Milliseconds for which an emotion must be the same until it is announced, as in live_view.js."""
FLICKER = '''() => {
  const view = getElement(Number(document.querySelector(".fer-live").id.slice(1)));
  [window.changes, window.spoken] = [[], []];
  view.$watch("toSpeak", (text) => window.changes.push({ text, at: performance.now() }), { flush: "sync" });
  view.$watch("spoken", (text) => window.spoken.push({ text, at: performance.now() }), { flush: "sync" });
}'''
"""Notes when the emotion changes and when one is announced, in milliseconds."""


@pytest.mark.parametrize('device', [MOUSE, FINGER], ids=['mouse', 'finger'])
def test_every_state_of_the_tab_live(dashboard, fer, watch, device):
    page = watch(**device).open(dashboard.url)
    page.locator('.fer-ok').wait_for()
    page.get_by_text('happy 90 %').wait_for()
    page.wait_for_function("document.querySelector('.fer-frame img').naturalWidth > 0")
    page.get_by_text(Live.details).click()
    page.get_by_test_id('rate').wait_for()
    page.get_by_test_id('hints').get_by_text('fb is turned away').wait_for()
    page.get_by_test_id('live-session').wait_for()
    page.get_by_role('button', name=Live.marker_new, exact=True).click()
    page.get_by_role('textbox', name='marker').fill('here')
    assert problems_in_light_and_dark(page) == []
    page.keyboard.press('Enter')
    page.get_by_role('button', name='Remove the marker').first.wait_for()
    page.get_by_role('button', name='Record', exact=True).click()
    page.get_by_role('button', name='Stop').wait_for()
    assert problems_in_light_and_dark(page) == []
    page.get_by_role('button', name='Stop').click()
    page.get_by_role('link', name='Download the CSV').first.wait_for()
    page.get_by_role('button', name='Clear lines').click()
    page.get_by_text('The lines were cleared').get_by_role('button', name='Undo').wait_for()
    assert problems_in_light_and_dark(page) == []
    page.get_by_role('button', name='Delete the recording').first.click()
    page.get_by_text('The recording was deleted').wait_for()
    page.get_by_role('button', name='Reset calibration').click()
    wait_until_told(page, 'the node is not active')
    assert problems_in_light_and_dark(page) == []
    page.get_by_role('button', name='Pause').click()
    page.locator('.fer-banner').get_by_text('Paused').wait_for()
    if device is MOUSE:
        page.locator('.fer-hint summary').click()
        page.get_by_text(Live.keys_on).wait_for()
    assert problems_in_light_and_dark(page) == []
    shown = page.locator('.fer-hint summary').is_visible()
    assert shown is (device is MOUSE), 'hints for the keyboard where there is one'


def test_every_state_of_the_tab_video(dashboard, watch, slow_job):
    page = watch(**MOUSE).open(f'{dashboard.url}/?tab=video')
    page.get_by_label(Video.upload).wait_for()
    assert problems_in_light_and_dark(page) == []
    page.get_by_role('button', name=Video.clip).click()
    page.locator('progress').wait_for()
    assert problems_in_light_and_dark(page) == []
    page.get_by_role('button', name=Video.stop).wait_for(timeout=180_000)
    page.get_by_test_id('session').wait_for()
    assert problems_in_light_and_dark(page) == []
    slow_job.go_on()
    page.get_by_role('link', name=Video.csv, exact=True).wait_for(timeout=180_000)
    page.get_by_role('button', name=Video.zoom_in).click()
    page.get_by_role('button', name=Video.loop_to).click()
    page.get_by_role('button', name=Video.marker_new, exact=True).click()
    page.get_by_role('textbox', name='marker').fill('here')
    assert problems_in_light_and_dark(page) == []
    page.keyboard.press('Enter')
    page.get_by_role('button', name=Video.marker_go.partition('{')[0]).wait_for()
    page.locator('.fer-video summary').click()
    assert problems_in_light_and_dark(page) == []
    words = page.get_by_test_id('video-summary').inner_text()
    assert words.count('mean') >= 2 and page.locator('.fer-video .fer-chart').get_attribute('aria-describedby')
    boxes = page.get_by_role('region', name=Video.sessions).get_by_role('checkbox')
    for count in range(2):
        page.get_by_role('button', name=Video.keep_session).click()
        boxes.nth(count).wait_for()
    boxes.first.check()
    boxes.last.check()
    page.get_by_role('link', name=Video.compare).wait_for()
    page.get_by_role('button', name='Remove').last.click()
    page.set_viewport_size({'width': 390, 'height': 844})
    assert problems_in_light_and_dark(page) == []
    page.get_by_role('button', name=Video.another).click()
    page.get_by_role('dialog').wait_for()
    assert problems_in_light_and_dark(page) == []
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    page.keyboard.press('Escape')
    page.get_by_role('button', name=Video.another).click()
    page.get_by_role('button', name=Video.remove).click()
    page.get_by_label(Video.upload).wait_for()


def test_the_login_page(watch, tmp_path):
    with Dashboard(tmp_path / 'log', '-p', 'access_token:="a token for the test"') as locked:
        for device, scheme in product((MOUSE, FINGER), ('light', 'dark')):
            page = watch(**device, color_scheme=scheme).context.new_page()
            page.goto(locked.url)
            page.get_by_label(Login.token).fill('wrong')
            page.keyboard.press('Enter')
            page.get_by_role('alert').wait_for()
            assert problems(page) == []


def test_changes_of_emotion_are_announced_and_the_chart_is_told_in_words(dashboard, fer, browser):
    page = browser.open(dashboard.url)
    spoken, words = page.get_by_test_id('spoken'), page.get_by_test_id('summary')
    page.wait_for_function("document.querySelector('[data-testid=spoken]').innerText === 'fa: happy'")
    assert spoken.get_attribute('role') == 'status'
    fer.faces = (face('fa', 0.1),)
    page.wait_for_function("document.querySelector('[data-testid=spoken]').innerText === 'fa: sad'")
    page.wait_for_function("document.querySelector('[data-testid=summary]').innerText.includes('fa: last −0.80')")
    assert page.locator('.fer-live .fer-chart').get_attribute('aria-describedby') == words.get_attribute('id')
    # What flickers is not read out. How long an emotion lasts on the page, the page tells.
    page.evaluate(FLICKER)
    happy, count = False, 0
    while page.evaluate(f'window.changes.filter(({{ at }}, i, all) => all[i + 1]?.at - at < {SETTLED}).length') < 8:
        happy = not happy
        count += 1
        assert count < 100, 'each emotion lasts'
        fer.faces = (face('fa', 0.9 if happy else 0.1),)
        page.wait_for_function('count => window.changes.length >= count', arg=count)
    fer.faces = (face('fa', 0.9),)
    page.wait_for_function("document.querySelector('[data-testid=spoken]').innerText === 'fa: happy'")
    changes, spoken = page.evaluate('[window.changes, window.spoken]')
    for said in spoken:
        shown = [change for change in changes if change['at'] < said['at']][-1]
        assert said['text'] == shown['text'] and said['at'] - shown['at'] > SETTLED - 5, (changes, spoken)


def paused(page) -> bool:
    """Whether it is, in the next picture that the browser draws; a key is handled before."""
    return page.evaluate('''async () => {
      await new Promise(requestAnimationFrame);
      return getElement(Number(document.querySelector(".fer-live").id.slice(1))).paused;
    }''')


def test_shortcuts_can_be_turned_off(dashboard, fer, watch):
    page = watch(**MOUSE).open(dashboard.url)
    page.locator('.fer-ok').wait_for()
    page.locator('.fer-hint summary').click()
    page.get_by_label(Live.keys_on).uncheck()
    page.locator('.fer-hint summary').focus()
    page.keyboard.press('p')
    assert not paused(page)
    page.reload()
    page.locator('.fer-ok').wait_for()
    page.keyboard.press('p')
    assert not paused(page), 'it is remembered'
    page.locator('.fer-hint summary').click()
    page.get_by_label(Live.keys_on).check()
    page.locator('.fer-hint summary').focus()
    page.keyboard.press('p')
    page.get_by_role('button', name='Resume').wait_for()


def test_white_text_is_readable_on_every_colour_of_buttons():
    for colour in COLOURS.values():
        red, green, blue = (int(colour[i:i + 2], 16) for i in (1, 3, 5))
        assert contrast((blue, green, red), (255, 255, 255)) >= 4.5
