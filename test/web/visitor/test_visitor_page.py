"""The camera of a visitor in a real browser, which takes the built-in clip for it, and attacks on its routes."""

import os
import time
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np
import pytest

pytest.importorskip('playwright.sync_api', reason='playwright is not installed')

from accessibility import problems, settle
from chromium_program import PATIENCE_MS, launch, program
from dashboard_harness import PATIENCE, Dashboard

from fer_ros.media.built_in_clip import BuiltInClip
from fer_ros.web.texts import Visitor, VisitorErrors

TOKEN = 'a token for visitors'
SEEN = "document.querySelector('.fer-visitor canvas[data-painted]')"


@pytest.fixture(scope='module')
def dashboard(tmp_path_factory):
    folder = tmp_path_factory.mktemp('visitors')
    with Dashboard(folder / 'log', '-p', f'access_token:="{TOKEN}"', patient=True, visitor_camera=True) as program:
        yield program
        assert program.end() == 0
    assert 'Traceback' not in program.log


@pytest.fixture(scope='module')
def camera(chromium, tmp_path_factory):
    """A browser with a camera that shows both faces of the built-in clip, and is allowed to use it."""
    file = tmp_path_factory.mktemp('camera') / 'camera.mjpeg'
    clip = BuiltInClip()
    file.write_bytes(b''.join(cv2.imencode('.jpg', clip.frame(index))[1].tobytes() for index in range(215, 230)))
    browser = launch(chromium.browser_type, program(), '--use-fake-device-for-media-stream',
                     '--use-fake-ui-for-media-stream', f'--use-file-for-fake-video-capture={file}')
    yield browser
    browser.close()


@pytest.fixture
def visit(camera, dashboard):
    """Opens pages that are let in, each in a browser context of its own."""
    contexts = []

    def opened(**options):
        context = camera.new_context(viewport={'width': 1000, 'height': 900}, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.problems = []
        page.on('pageerror', lambda error: page.problems.append(str(error)))
        page.goto(f'{dashboard.url}/?token={TOKEN}')
        page.get_by_role('button', name=Visitor.start).wait_for()
        return page
    yield opened
    for context in contexts:
        context.close()


def processes(dashboard) -> list[int]:
    """Of visitors."""
    found = []
    for path in Path('/proc').glob('[0-9]*'):
        try:
            if b'visitor_process' in (path / 'cmdline').read_bytes() and int(
                    (path / 'stat').read_text().rpartition(')')[2].split()[1]) == dashboard.process.pid:
                found.append(int(path.name))
        except OSError:
            continue
    return found


def wait_until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def admitted(dashboard):
    with httpx.Client(base_url=dashboard.url, headers={'Origin': dashboard.url}, timeout=PATIENCE) as client:
        assert client.post('/login', data={'token': TOKEN}).status_code == 200
        yield client


def test_a_visitor_sees_the_own_face_and_nobody_else_does(dashboard, visit, admitted):
    """One visit from begin to end, with another who is told that there is no place."""
    page = visit()
    page.get_by_role('button', name=Visitor.start).click()
    page.get_by_text(Visitor.running).wait_for()
    # Both faces, whose numbers grow where images are so late that they are taken for others.
    page.wait_for_function("""() => [...document.querySelectorAll('[data-testid^=visitor-f]')].filter(
        (row) => /^\\s*f\\d+\\s.*%/.test(row.innerText)).length === 2""")
    assert page.evaluate(f'{SEEN}.width') == 2 * 640
    last = page.evaluate(f'{SEEN}.dataset.painted')
    page.wait_for_function(f'Number({SEEN}.dataset.painted) > {last} + 0.5')
    settle(page)
    assert problems(page) == [], 'for those who see little, use no mouse, or listen'
    third = visit()
    second = admitted.post('/visitor/start').json()['secret']
    wait_until(lambda: len(processes(dashboard)) == 2)  # a new one has no command line for a moment
    third.get_by_role('button', name=Visitor.start).click()
    third.get_by_text(VisitorErrors.full.format(count=2)).wait_for()
    assert third.locator('[data-testid^=visitor-f]').count() == 0
    state = admitted.get('/live/state').json()
    assert state['frame'] == 0 and state['faces'] == [], 'the visitor is not among the faces of the robot'
    admitted.post('/visitor/stop', headers={'X-Visitor': second})
    os.kill(*processes(dashboard), 9)
    page.get_by_text(VisitorErrors.died).wait_for()
    assert page.evaluate("document.querySelector('.fer-visitor canvas').width") == 0, 'nobody is left in it'
    assert all(cookie['name'].startswith('fer_') for cookie in page.context.cookies())
    page.get_by_role('button', name=Visitor.start).click()
    wait_until(lambda: processes(dashboard))
    page.get_by_role('button', name=Visitor.stop).click()
    wait_until(lambda: processes(dashboard) == [])
    page.get_by_role('button', name=Visitor.start).click()
    wait_until(lambda: processes(dashboard))
    page.reload()
    wait_until(lambda: processes(dashboard) == [])
    assert page.problems == third.problems == []


def test_without_https_the_page_says_why_there_is_no_camera(visit, dashboard, camera):
    context = camera.new_context()
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    page = context.new_page()
    page.goto(f'{dashboard.url}/?token={TOKEN}')
    page.get_by_text(Visitor.insecure).wait_for()
    assert page.get_by_role('button', name=Visitor.start).count() == 0
    context.close()


def test_a_visitor_who_forbids_the_camera_is_told(chromium, dashboard):
    context = chromium.new_context()  # without a camera
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f'{dashboard.url}/?token={TOKEN}')
    page.get_by_role('button', name=Visitor.start).click()
    page.get_by_role('alert').filter(has_text='camera').wait_for()
    assert page.get_by_role('alert').inner_text() in (Visitor.denied, Visitor.missing, Visitor.occupied)
    assert processes(dashboard) == []
    context.close()


def picture() -> bytes:
    return cv2.imencode('.jpg', BuiltInClip().frame(222))[1].tobytes()


def test_only_who_is_let_in_and_comes_from_the_page_has_a_visit(dashboard, admitted):
    port = urlsplit(dashboard.url).port
    cookies = dict(admitted.cookies)
    for path in ('start', 'frame', 'stop'):
        without = httpx.post(f'{dashboard.url}/visitor/{path}', headers={'Origin': dashboard.url}, timeout=PATIENCE)
        assert without.status_code == 401
        assert admitted.get(f'/visitor/{path}').status_code == 404
        for origin in ('http://evil.example', f'http://evil.example:{port}', 'null'):
            assert admitted.post(f'/visitor/{path}', headers={'Origin': origin}).status_code == 403
        without = httpx.post(f'{dashboard.url}/visitor/{path}', cookies=cookies, timeout=PATIENCE)
        assert without.status_code == 403, 'without an origin'
    assert processes(dashboard) == []
    head = admitted.get('/').headers
    assert head['Permissions-Policy'] == 'camera=(self), microphone=(), geolocation=()'


def test_junk_and_too_much_are_refused_and_the_visit_goes_on(dashboard, admitted):
    secret = {'X-Visitor': admitted.post('/visitor/start').json()['secret']}
    wrong = {'X-Visitor': secret['X-Visitor'][::-1]}
    assert admitted.post('/visitor/frame', content=picture(), headers=wrong).status_code == 404
    assert admitted.post('/visitor/frame', content=picture()).status_code == 404
    found = admitted.post('/visitor/frame', content=picture(), headers=secret)
    assert found.status_code == 200 and len(found.json()['line']['faces']) == 2
    assert found.headers['Cache-Control'] == 'no-store'

    def send(content) -> httpx.Response:
        time.sleep(0.1)  # not too fast
        return admitted.post('/visitor/frame', content=content, headers=secret)
    huge = cv2.imencode('.jpg', np.zeros((4000, 4000, 3), np.uint8))[1].tobytes()
    noise = np.random.default_rng(0).bytes(10_000)
    for content, status in ((b'', 400), (noise, 400), (picture()[:3000], 400), (huge, 400), (bytes(500_000), 413),
                            ((bytes(50_000) for _ in range(20)), 413)):
        answer = send(content)
        assert answer.status_code == status, answer.text
    codes = {admitted.post('/visitor/frame', content=picture(), headers=secret).status_code for _ in range(20)}
    assert codes <= {200, 429}
    assert len(send(picture()).json()['line']['faces']) == 2
    assert admitted.post('/visitor/stop', headers=secret).status_code == 200
    wait_until(lambda: processes(dashboard) == [])
    assert send(picture()).status_code == 404
