"""The tab Live in a browser, with results that come over DDS."""

import csv
import dataclasses
import os
import re
import socket
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import av
import pytest

pytest.importorskip('playwright.sync_api', reason='playwright is not installed')

from dashboard_harness import Dashboard, Fer, face
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from playwright.sync_api import Error
from std_msgs.msg import String
from told import wait_until_told

from fer_ros.diagnostic_keys import IMAGE_PROBLEMS, recent
from fer_ros.results.faces import FacesFrame, encode
from fer_ros.results.faces_csv import COLUMNS

# Of the page, which NiceGUI may be loading again.
VIEW = '''[document.querySelector('.fer-live')].map((e) => e && getElement(Number(e.id.slice(1))))[0]'''
LINES = f'''() => Object.fromEntries([...({VIEW}?.lines ?? [])].map(([id, line]) => [id, line.points]))'''
SERIES = f'''() => Object.fromEntries({VIEW}.chart.getOption().series.map((s) => [s.id, s.data.length]))'''


@pytest.fixture(scope='module')
def dashboard(tmp_path_factory):
    folder = tmp_path_factory.mktemp('live')
    with Dashboard(folder / 'log', patient=True, image_rate=20.0, image_width=320) as program:
        yield program
        assert program.end() == 0
    assert 'Traceback' not in program.log


@pytest.fixture
def impatient(tmp_path):
    """One that says after the usual time what is missing."""
    with Dashboard(tmp_path / 'log') as program:
        yield program
        assert program.end() == 0
    assert 'Traceback' not in program.log


FACES = (face('fa', 0.9), face('fb', 0.1, box=(400.0, 80.0, 120.0, 120.0)))


@pytest.fixture
def fer(dashboard):
    with Fer() as node:
        node.faces = FACES
        node.wait_until_received(dashboard)
        yield node


def receiving(page) -> None:
    page.locator('.fer-ok').wait_for()


def test_lines_move_and_have_a_gap_while_the_face_is_away(dashboard, fer, browser):
    page = browser.open(dashboard.url)
    receiving(page)
    page.wait_for_function(f'() => (({LINES})().fa ?? []).length > 5')
    assert page.evaluate(LINES)['fa'][-1][1:] == pytest.approx([0.8, 0.8])
    fer.faces = (face('fa', 0.2, 0.4),)
    page.wait_for_function(f'() => ({LINES})().fa?.at(-1)[1] < 0')
    fer.faces = ()
    page.locator('.fer-face').get_by_text('No face in view').wait_for()
    count, frames = page.evaluate(f'() => [({LINES})().fa.length, {VIEW}.newest]')
    page.wait_for_function(f'frames => {VIEW}.newest >= frames + 5', arg=frames)
    assert len(page.evaluate(LINES)['fa']) <= count, 'no points while there is no face'
    fer.faces = FACES
    page.wait_for_function(f'() => ({LINES})().fa?.at(-1)[1] > 0')
    points = page.evaluate(LINES)['fa']
    back = max(index for index, point in enumerate(points) if point and point[1] < 0) + 2
    assert points[back - 1] is None and points[back][1] > 0
    page.wait_for_function(f'count => ({SERIES})().fa >= count && ({SERIES})().fb > 0', arg=len(points) - 20)
    drawn = page.evaluate(SERIES)
    assert drawn['fa'] == drawn['fa raw'] and drawn['fb'] > 0
    chart = page.locator('.fer-live .fer-chart').bounding_box()
    page.mouse.move(chart['x'] + chart['width'] - 16, chart['y'] + 60)  # now
    page.locator('.fer-tip').get_by_text('fa +0.80').wait_for()
    page.mouse.move(chart['x'] + 46, chart['y'] + 60)
    page.locator('.fer-tip').get_by_text('59.').wait_for()
    assert browser.errors == []


def test_the_chosen_face_is_shown_with_all_its_probabilities(dashboard, fer, browser):
    page = browser.open(dashboard.url)
    receiving(page)
    emotion, valence = page.get_by_test_id('emotion'), page.get_by_test_id('valence')
    page.get_by_text('happy 90 %').wait_for()  # the primary face
    assert valence.inner_text() == '+0.80'
    page.get_by_role('radio', name=re.compile('^fb ')).wait_for()
    page.keyboard.press('2')  # the second of the list
    page.get_by_text('sad 90 %').wait_for()
    assert valence.inner_text() == '−0.80'
    bars = page.locator('.fer-bars li').all_inner_texts()
    assert [text.split()[0] for text in bars] == ['angry', 'disgusted', 'scared', 'happy', 'sad', 'surprised',
                                                 'neutral']
    assert [int(text.split()[1]) for text in bars] == [0, 0, 0, 10, 90, 0, 0]
    page.get_by_role('radio', name=re.compile('^fa ')).check()
    page.get_by_text('happy 90 %').wait_for()
    frame = page.locator('.fer-frame')
    size = frame.bounding_box()
    frame.click(position={'x': size['width'] * 460 / 640, 'y': size['height'] * 140 / 480})
    assert page.get_by_role('radio', name=re.compile('^fb ')).is_checked()
    fer.faces = (face('fa', 0.9),)
    page.locator('.fer-face').get_by_text('fb is not in view').wait_for()
    frame.click(position={'x': 2, 'y': 2})
    page.get_by_text('happy 90 %').wait_for()
    assert emotion.inner_text() == 'happy 90 %'
    assert not page.get_by_test_id('rate').is_visible(), 'facts for engineers are behind a fold'
    page.get_by_text('Technical details').click()
    for text in ('cpu', '4 in 3 s', 'frames/s'):
        page.locator('.fer-status').get_by_text(text).wait_for()


def test_a_marker_of_now_is_on_the_line_in_the_list_and_with_the_recording(dashboard, fer, browser, watch):
    page, other = (b.open(dashboard.url) for b in (browser, watch()))
    receiving(page)
    page.get_by_role('button', name='Clear lines').click()  # the summary begins anew
    page.get_by_role('button', name='Record', exact=True).click()
    page.get_by_test_id('recording').wait_for()
    # More than one: a marker is set at the time of the last result that the page knows, or later.
    page.wait_for_function("/ [0-9]{2,} rows/.test(document.querySelector('[data-testid=recording]').innerText)")
    page.keyboard.press('m')
    page.get_by_role('textbox', name='Text of the marker').fill('it <b>smiles')
    page.keyboard.press('Enter')
    for one in (page, other):
        one.get_by_role('region', name='Markers').get_by_text('it <b>smiles').wait_for()
        one.wait_for_function(
            f"{VIEW}.chart.getOption().series.some((s) => s.markLine?.data.some((d) => 'xAxis' in d))")
    page.get_by_role('button', name='Stop').click()
    with page.expect_download() as download:
        page.get_by_role('link', name='Download the markers of').first.click()
    rows = list(csv.DictReader(download.value.path().open(encoding='utf-8')))
    assert [row['text'] for row in rows] == ['it <b>smiles'] and float(rows[0]['time_s']) >= 0
    session = page.get_by_test_id('live-session')
    session.get_by_role('row', name='fa').first.filter(has_text='+0.80 ± 0.00').wait_for()
    other.get_by_role('button', name='Remove the marker').click()
    page.get_by_role('region', name='Markers').get_by_text('None yet').wait_for()
    page.get_by_role('button', name='Delete the recording').click()
    page.get_by_text('The recording was deleted').wait_for()
    assert browser.errors == []


def test_pictures_are_received_only_while_someone_looks(dashboard, fer, browser):
    fer.wait(lambda: fer.lookers == 0, 'for nobody to look')
    page = browser.open(dashboard.url)
    page.wait_for_function("document.querySelector('.fer-frame img').naturalWidth === 320")
    fer.wait(lambda: fer.lookers == 1, 'for looking')
    page.locator('.fer-frame img[data-stamp]').wait_for()
    stamp = page.locator('.fer-frame img').get_attribute('data-stamp')
    page.wait_for_function(f"document.querySelector('.fer-frame img').dataset.stamp > '{stamp}'")
    page.get_by_role('tab', name='Video').click()
    fer.wait(lambda: fer.lookers == 0, 'for the end of looking')
    page.get_by_role('tab', name='Live').click()
    fer.wait(lambda: fer.lookers == 1, 'for looking again')
    page.get_by_role('button', name='Pause').click()
    fer.wait(lambda: fer.lookers == 0, 'for the pause')
    page.keyboard.press('p')
    fer.wait(lambda: fer.lookers == 1, 'for the end of the pause')
    page.close()
    fer.wait(lambda: fer.lookers == 0, 'for the page to be gone')


def _receive_all(page, fer) -> None:
    """End the results with one that is told from the others, and wait until it and its picture are there."""
    fer.silent, fer.primary = True, False
    for _ in range(6):  # a picture may be lost: it is sent with best effort
        fer.publish()
        with suppress(Error):
            page.locator(f'.fer-frame img[data-stamp="{fer.stamps[-1]}"]').wait_for(timeout=10_000)
            break
    else:
        raise AssertionError('no picture arrives')
    page.locator('.fer-face').get_by_text('The primary face is not in this frame').wait_for()


def test_a_recording_is_seen_in_every_browser_and_downloaded(dashboard, fer, browser, watch):
    one, other = (b.open(dashboard.url) for b in (browser, watch()))
    receiving(one)
    one.get_by_label('with video').check()
    one.get_by_role('button', name='Record', exact=True).click()
    other.get_by_role('button', name='Stop').wait_for()
    other.get_by_text('Recordings are shared by all browsers').wait_for()
    other.wait_for_function("""() => document.querySelector('[data-testid=recording]').innerText
        .match(/(\\d+) rows, (\\d+) images/)?.slice(1).every((count) => Number(count) > 20)""")
    _receive_all(one, fer)
    other.get_by_role('button', name='Stop').click()

    def saved(kind: str) -> Path:
        with one.expect_download() as download:
            one.get_by_role('link', name=f'Download the {kind} of').click()
        name = download.value.suggested_filename
        assert name.startswith('faces_') and name.endswith({'CSV': '.csv', 'video': '.mp4'}[kind])
        return download.value.path()
    with open(saved('CSV'), encoding='utf-8', newline='') as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == (*COLUMNS, 'stamp_s') and len(rows) > 20
    assert {row['face_id'] for row in rows} == {'fa', 'fb'}
    assert {float(row['valence']) for row in rows} == {0.8, -0.8}
    assert float(rows[0]['time_s']) == 0 and abs(time.time() - float(rows[0]['stamp_s'])) < 600
    with av.open(str(saved('video'))) as container:
        assert sum(1 for _ in container.decode(video=0)) > 20
        assert container.duration * 1e-6 == pytest.approx(float(rows[-1]['time_s']), abs=0.5)
    one.get_by_role('button', name='Delete the recording').click()
    other.get_by_text('The recording was deleted.').get_by_role('button', name='Undo').click()
    assert len(saved('CSV').read_text().splitlines()) == len(rows) + 1, 'it is back, for everybody'
    address = one.get_by_role('link', name='Download the CSV of').get_attribute('href')
    one.get_by_role('button', name='Delete the recording').click()
    other.get_by_role('link', name='Download the CSV of').wait_for(state='detached')
    with pytest.raises(urllib.error.HTTPError, match='404'):
        urllib.request.urlopen(f'{dashboard.url}{address}')


def test_calibration_its_reset_and_clear(dashboard, fer, browser):
    page = browser.open(dashboard.url)
    receiving(page)
    page.get_by_role('button', name='Calibrate neutral face').click()
    wait_until_told(page, 'face fa: neutral from 30 frames')
    page.get_by_role('button', name='Reset calibration').click()
    wait_until_told(page, 'the node is not active')
    assert fer.calls == ['calibrate', 'reset']
    page.wait_for_function(f'() => (({LINES})().fb ?? []).length > 5')
    fer.faces = (face('fa', 0.9),)
    page.get_by_role('radio', name=re.compile('^fb ')).wait_for(state='detached')
    page.get_by_role('button', name='Clear lines').click()
    page.wait_for_function(f'() => !(({LINES})().fb)')
    page.get_by_text('The lines were cleared').get_by_role('button', name='Undo').click()
    page.wait_for_function(f'() => (({LINES})().fb ?? []).length > 5')
    page.keyboard.press('c')
    page.wait_for_function(f'() => !(({LINES})().fb)')


def test_the_page_says_what_is_so(dashboard, fer, browser):
    page = browser.open(dashboard.url)
    receiving(page)
    page.get_by_role('radio', name=re.compile('^fb ')).wait_for()
    page.keyboard.press('2')
    page.get_by_text('sad 90 %').wait_for()
    fer.faces = (face('fa', 0.9),)
    page.locator('.fer-face').get_by_text('fb is not in view').wait_for()
    gone = page.get_by_role('radio', name=re.compile('^fb away'))
    assert gone.is_checked(), 'what is chosen stays in the list'
    page.reload()
    page.locator('.fer-face').get_by_text('fb is not in view').wait_for()
    page.get_by_role('radio', name='Primary face').check()
    gone.wait_for(state='detached')
    fer.primary = False
    page.locator('.fer-face').get_by_text('The primary face is not in this frame').wait_for()
    assert page.get_by_role('radio', name=re.compile('^fa ')).is_visible()
    fer.primary = True
    receiving(page)
    page.keyboard.press('p')
    banner = page.locator('.fer-banner')
    banner.get_by_text('Nothing on this page changes until you resume').wait_for()
    assert 'Receiving' not in banner.inner_text() and 'Paused' in banner.inner_text()
    page.keyboard.press('p')
    receiving(page)
    assert page.locator('.fer-status').get_by_text('none').is_visible(), 'no face is calibrated'


def test_people_are_told_how_to_be_seen_better(dashboard, fer, browser):
    page = browser.open(dashboard.url)
    receiving(page)
    hints, banner = page.get_by_test_id('hints'), page.locator('.fer-banner')
    assert hints.inner_text() == ''
    fer.faces = (dataclasses.replace(fer.faces[0], quality=0.07), fer.faces[1])
    hints.get_by_text('fa is turned away or covered: look towards the camera.').wait_for()
    assert page.get_by_test_id('quality').inner_text() == '7 %'
    dark = 'image too dark: add light or raise the exposure'
    whole = list(fer.status.values)
    fer.status.level, fer.status.message = DiagnosticStatus.WARN, dark
    fer.status.values = [*whole, KeyValue(key=IMAGE_PROBLEMS, value=dark)]
    hints.get_by_text('Too dark: switch on a light').wait_for()
    banner.get_by_text('Receiving, but faces are hard to see').wait_for()
    assert 'turned' not in hints.inner_text() and dark not in banner.inner_text()
    assert not page.get_by_text(dark).is_visible()
    page.get_by_text('Technical details').click()
    page.get_by_text(f'Warning: {dark}').wait_for()
    fer.status.level, fer.status.message, fer.status.values = DiagnosticStatus.OK, '', whole
    fer.faces = (face('fa', 0.9),)
    receiving(page)
    page.wait_for_function("document.querySelector('.fer-hints').innerText === ''")


def test_what_is_missing_is_said_and_when_it_is_back(impatient, browser):
    page = browser.open(impatient.url)
    with Fer() as fer:
        receiving(page)
        fer.silent = True
        page.locator('.fer-banner').get_by_text('on /camera/image_raw: 0 publishers').wait_for()
        assert page.locator('.fer-face').get_by_text('No face in view').is_visible()
        fer.silent = False
        receiving(page)
    page.locator('.fer-banner').get_by_text('The node fer is not running: no publisher on /fer/faces').wait_for()
    page.get_by_role('button', name='Calibrate neutral face').click()
    wait_until_told(page, 'The node fer does not respond. Is it running?')
    with Fer():
        receiving(page)


def test_no_message_stops_the_page_and_what_is_invalid_is_counted(dashboard, fer, browser):
    update = dashboard.state
    page = browser.open(dashboard.url)
    receiving(page)
    before = update()
    whole = list(fer.status.values)
    fer.status.values = [*whole[:3], KeyValue(key='publishers', value='abc'),
                         KeyValue(key=recent('dropped'), value='9' * 5000)]
    fer.wait(lambda: update()['status']['dropped'] is None, 'for the diagnostics')
    fer.status.values = whole
    fer.wait(lambda: update()['status']['dropped'] == 4, 'for the diagnostics')
    left_out = update()['status']['left_out']
    assert left_out >= before['status']['left_out'] + 2
    publisher = fer.node.create_publisher(String, '/fer/faces', 10)
    fer.silent = True  # no other results, which could displace these from the queue
    fer.wait(lambda: publisher.get_subscription_count() == 1, 'for the subscription')
    valid = encode(FacesFrame(0, 'camera', 640, 480, (face('f1', 0.5),)))
    for text in ('[' * 2_000_000, 'x' * (5 << 20), '9' * 5000, *(valid.replace('f1', i) for i in (
            '=1+1', '+cmd', '@x', 'f1\\nf2', 'f1\\u202e', '<img src=x>'))):
        publisher.publish(String(data=text))
        left_out += 1
        fer.wait(lambda count=left_out: update()['status']['left_out'] == count, f'for {text[:100]}')
    fer.silent = False
    after = update()
    fer.wait(lambda: update()['frame'] >= after['frame'] + 10, 'for more results')
    assert update()['epoch'] == before['epoch'] and update()['status']['level'] == 'ok'
    assert {f['id'] for f in update()['faces']} == {'fa', 'fb'}
    page.get_by_text('Technical details').click()
    page.get_by_test_id('left-out').wait_for()
    receiving(page)
    assert browser.errors == []
    fer.node.destroy_publisher(publisher)


def test_clients_that_never_read_delay_nobody(dashboard, fer):
    address = urlsplit(dashboard.url)
    idle = []
    for index in range(30):
        client = socket.create_connection((address.hostname, address.port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        path = ('/live/state', '/live/frame', '/_nicegui_ws/socket.io/?EIO=4&transport=websocket')[index % 3]
        upgrade = ('Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
                   f'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: {dashboard.url}\r\n')
        request = (f'GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n{upgrade if "socket" in path else ""}\r\n')
        client.sendall(request.encode() * (1 if 'socket' in path else 20))
        idle.append(client)

    update = dashboard.state
    try:
        fer.wait(lambda: update()['frame'] > 0, 'for the first result')
        first = update()
        fer.wait(lambda: (now := update())['frame'] - first['frame'] >= 45 and now['status']['latency'] < 1000,
                 'for results in time')
        assert update()['epoch'] == first['epoch']
    finally:
        for client in idle:
            client.close()


NEVER_WITHOUT = '''() => {
  const fetched = window.fetch;
  window.fetch = async (...options) => {
    const response = await fetched(...options);
    if (response.status === 204) throw new Error("no new picture");
    return response;
  };
}'''
"""Keeps the last picture where the next one is late."""


def test_the_page_reconnects_to_a_dashboard_that_was_killed(fer, browser, tmp_path):
    port = 21_000 + int(os.environ['ROS_DOMAIN_ID'])  # no other process gets it between the two
    with Dashboard(tmp_path / 'log', port=port) as dashboard:
        url = dashboard.url
        page = browser.open(url)
        page.evaluate(NEVER_WITHOUT)
        receiving(page)
        page.locator('.fer-frame img').wait_for()
    page.locator('.fer-banner').get_by_text('The dashboard does not respond').wait_for()
    assert page.get_by_text('Connection lost: this is what was received last.').is_visible()
    dimmed = page.evaluate("""() => ['.fer-frame img', '.fer-face', '.fer-line'].map(
        (name) => Number(getComputedStyle(document.querySelector(name)).opacity))""")
    assert max(dimmed) < 0.5
    with Dashboard(tmp_path / 'log2', port=port) as dashboard:
        assert dashboard.url == url
        wait_until_told(page, 'Connected again.')
        receiving(page)
        page.wait_for_function(f'() => (({LINES})().fa ?? []).length > 5')
        assert dashboard.end() == 0


@pytest.mark.parametrize(('width', 'height', 'scheme'), [(390, 844, 'light'), (390, 844, 'dark'),
                                                         (1920, 1080, 'light'), (1920, 1080, 'dark')])
def test_it_fits_the_screen_and_follows_its_scheme(dashboard, fer, watch, tmp_path, width, height, scheme):
    page = watch(viewport={'width': width, 'height': height}, color_scheme=scheme).open(dashboard.url)
    receiving(page)
    page.get_by_test_id('emotion').wait_for()
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    assert page.evaluate("document.body.classList.contains('body--dark')") is (scheme == 'dark')
    # At once: Undo goes away after a while.
    boxes = page.evaluate("""() => [...document.querySelectorAll('button, [role=button]')]
        .filter((button) => button.checkVisibility()).map((button) => button.getBoundingClientRect().toJSON())""")
    assert len(boxes) >= 6
    for box in boxes:
        assert box['x'] >= 0 and box['x'] + box['width'] <= width and min(box['width'], box['height']) >= 24
    ground, ink = page.evaluate('''() => [document.querySelector('.fer-card'), document.querySelector('.fer-emotion')]
        .map((e, i) => getComputedStyle(e)[i ? 'color' : 'backgroundColor'].match(/\\d+/g).slice(0, 3).map(Number))''')
    assert (sum(ground) < sum(ink)) is (scheme == 'dark')
    page.get_by_role('button', name='Switch between light and dark').click()
    page.wait_for_function(f"document.body.classList.contains('body--dark') === {str(scheme == 'light').lower()}")


def test_everything_is_reached_with_the_keyboard(dashboard, fer, browser):
    page = browser.open(dashboard.url)
    receiving(page)
    reached = []
    for _ in range(20):
        page.keyboard.press('Tab')
        name, outlined = page.evaluate('''() => {
          const e = document.activeElement, label = e.closest('label') ?? e;
          const style = [e, label].map((x) => getComputedStyle(x));
          return [e.getAttribute('aria-label') || label.innerText.trim().replace(/\\s+/g, ' '),
                  style.some((s) => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0)];
        }''')
        reached.append(name)
        assert outlined or not name, f'the focus on {name} is not seen'
        if name == 'Keyboard':
            break
    order = ['Skip to content', 'Live', 'Switch between light and dark', 'Primary face', 'Pause', 'Record',
             'Calibrate neutral face', 'Reset calibration', 'Clear lines', 'Keyboard']
    found = [next((i for i, name in enumerate(reached) if text.lower() in name.lower()), -1) for text in order]
    assert -1 not in found and found == sorted(found), reached
    page.keyboard.press('Enter')
    page.get_by_text('start and stop recording').wait_for()
