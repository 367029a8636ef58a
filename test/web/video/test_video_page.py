"""The tab Video in a real browser, served by the real node."""

import csv
import io
import json
import os
import re
import signal
import time
from contextlib import suppress

import cv2
import numpy as np
import pytest

pytest.importorskip('playwright.sync_api', reason='playwright is not installed')

from dashboard_harness import PATIENCE, Dashboard
from playwright.sync_api import Error
from slow_job import SlowJob
from video_files import RATE, clip_frames, two_faces, write_video

from fer_ros.tools import process_video
from fer_ros.web.texts import Video, VideoErrors


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    return two_faces(tmp_path_factory.mktemp('videos') / 'two <b>faces.mp4')


@pytest.fixture(scope='module')
def expected(good, tmp_path_factory):
    """The CSV that process_video writes."""
    folder = tmp_path_factory.mktemp('expected')
    assert process_video.main([str(good), '--output', str(folder), '--annotated']) == 0
    return (folder / f'{good.stem}.csv').read_bytes()


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where the dashboard makes its temporary folder; its only user is this test."""
    folder = tmp_path / 'temporary'
    folder.mkdir()
    monkeypatch.setenv('TMPDIR', str(folder))
    return folder


def uploads(temporary) -> list:
    """Folders of jobs."""
    return list(temporary.glob('fer_ros_dashboard_*/*'))


def wait_until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def open_video(browser, dashboard):
    """A page with the tab."""
    page = browser.open(dashboard.url)
    to_the_tab(page)
    return page


def to_the_tab(page) -> None:
    """A page that was long in coming reloads itself, and is at the tab Live again."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            page.get_by_role('tab', name='Video').click()
            page.locator('.fer-video > *').first.wait_for(timeout=10_000)
            return
        except Error:
            if time.monotonic() > end:
                raise


@pytest.fixture(scope='module')
def on_its_side(tmp_path_factory):
    """As a camera sees them that is rolled clockwise."""
    folder = tmp_path_factory.mktemp('sideways')
    return write_video(folder / 'sideways.mp4', [np.rot90(frame).copy() for frame in clip_frames(6.5, 7.0, RATE)], RATE)


def choose(page, path) -> None:
    page.get_by_label(Video.upload).set_input_files(path)


def frame(page) -> int:
    """Number of the frame whose picture is seen; waits until it is the one of the line."""
    canvas = page.locator('canvas[data-frame]')
    page.wait_for_function('c => c.dataset.painted === c.dataset.frame', arg=canvas.element_handle())
    return int(canvas.get_attribute('data-painted'))


def test_an_uploaded_video_is_read_played_and_downloaded(watch, tmp_path, temporary, good, expected):
    slow = SlowJob(tmp_path / 'slow', first=40, seconds=0.25)  # the built-in clip alone, so that it can be stopped
    with Dashboard(tmp_path / 'log', path=slow.folder) as dashboard:
        browser = watch(viewport={'width': 1280, 'height': 800})
        page = open_video(browser, dashboard)
        choose(page, good)
        page.get_by_role('heading', name=good.name).wait_for()  # as text, not as a tag
        page.reload()
        page.get_by_role('heading', name=good.name).wait_for()
        done(page)

        rows = list(csv.DictReader(io.StringIO(expected.decode())))
        _the_lines_are_the_rows(page, rows)
        _picture_and_line_go_together(page, rows)
        _the_line_can_be_read(page, rows)
        _the_session_is_summed_up_and_noted(page, rows)
        with page.expect_download() as download:
            page.get_by_role('link', name=Video.csv, exact=True).click()
        assert download.value.path().read_bytes() == expected
        assert download.value.suggested_filename == 'two _b_faces.csv'
        with page.expect_download() as download:
            page.get_by_role('link', name=Video.mp4).click()
        assert cv2.VideoCapture(str(download.value.path())).get(cv2.CAP_PROP_FRAME_COUNT) == 30
        with page.expect_download() as download:
            page.get_by_role('link', name=Video.png).click()
        assert cv2.imread(str(download.value.path())).shape == (480, 1280, 3)
        assert _unexpected(browser.errors) == []

        _a_reload_comes_back_to_the_frame(page)
        _nobody_else_sees_it(watch(), dashboard, [url for url in browser.requests if '/video/' in url])
        _results_are_not_lost_by_accident(page, browser, dashboard, good)
        page.get_by_role('button', name=Video.keep_session).click()
        page.get_by_role('region', name=Video.sessions).get_by_role('listitem').first.wait_for()
        page.get_by_role('button', name=Video.keep_session).click()  # it is kept before results are removed
        page.get_by_role('button', name=Video.another).click()
        page.get_by_role('button', name=Video.remove).click()
        page.get_by_label(Video.upload).wait_for()
        wait_until(lambda: uploads(temporary) == [])
        _sessions_are_opened_again_and_compared(page, browser, watch, dashboard)
        _watched_while_it_is_analysed(page)
        assert _unexpected(browser.errors) == []
        assert dashboard.end() == 0
    assert list(temporary.iterdir()) == []


def _unexpected(errors: list[str]) -> list[str]:
    """But for the requests that are refused on purpose."""
    return [error for error in errors if 'the server responded with a status of 4' not in error]


VIEW = '''getElement(Number(document.querySelector('.fer-video').closest('[id^=c]').id.slice(1)))'''


def done(page) -> None:
    """Wait until the analysis has ended and the page has all of its results."""
    page.get_by_role('link', name=Video.csv, exact=True).wait_for(timeout=1000 * PATIENCE)
    page.wait_for_function(f'''() => {{
      const {{ count, job, session }} = {VIEW};
      return job?.state === 'done' && count === job.frames && session?.frames === job.frames;
    }}''')


def _sessions_are_opened_again_and_compared(page, browser, watch, dashboard) -> None:
    page.reload()
    sessions = page.get_by_role('region', name=Video.sessions)
    sessions.get_by_role('listitem').nth(1).wait_for()
    with browser.context.expect_page() as opened:
        sessions.get_by_role('link', name='Open').first.click()
    opened.value.wait_for_load_state()
    opened.value.get_by_role('heading', level=1, name='faces.mp4').wait_for()
    assert opened.value.locator('polyline').count() == 2 and opened.value.get_by_text('Ada').count() > 0
    for box in sessions.get_by_role('checkbox').all():
        box.check()
    with browser.context.expect_page() as opened:
        sessions.get_by_role('link', name=Video.compare).click()
    opened.value.wait_for_load_state()
    opened.value.get_by_role('heading', level=1, name='Comparison').wait_for()
    assert opened.value.get_by_role('img').count() == 2
    assert opened.value.get_by_role('row').filter(has_text='mean valence').inner_text().endswith('0.00')
    address = opened.value.url.removeprefix(dashboard.url)
    for one in browser.context.pages[1:]:
        one.close()
    other = open_video(watch(), dashboard)
    other.get_by_label(Video.upload).wait_for()
    assert other.evaluate('async (url) => (await fetch(url)).status', address) == 404, "another browser's"
    assert not other.get_by_role('region', name=Video.sessions).is_visible()
    sessions.get_by_role('button', name='Remove').first.click()
    sessions.get_by_role('button', name=Video.session_forget).click()
    sessions.get_by_role('listitem').nth(1).wait_for(state='detached')
    assert sessions.get_by_role('listitem').count() == 1


def _watched_while_it_is_analysed(page) -> None:
    page.get_by_role('button', name=Video.clip).click()
    page.locator('canvas[data-painted]').wait_for(timeout=1000 * PATIENCE)
    stop = page.get_by_role('button', name=Video.stop)
    stop.wait_for()
    first = int(page.locator('canvas[data-frame]').get_attribute('data-frame'))
    page.wait_for_function(f'document.querySelector("canvas").dataset.painted > {first + 5}')  # it follows
    page.keyboard.press('Home')
    assert frame(page) == 0
    page.get_by_role('button', name=Video.follow).wait_for()
    page.keyboard.press(' ')
    page.wait_for_function('document.querySelector("canvas").dataset.painted > 5')
    stop.click()
    done(page)
    page.get_by_text(Video.stopped).wait_for()
    count = int(page.get_by_role('slider', name=Video.position).get_attribute('max')) + 1
    told = page.evaluate('async () => (await (await fetch("/video/state")).json()).job')
    assert told['stopped'] and told['frames'] == count < 400


def _the_lines_are_the_rows(page, rows) -> None:
    """What the chart draws is what the CSV says."""
    drawn = page.evaluate('''() => {
      const element = document.querySelector('.fer-video .fer-chart');
      const view = getElement(Number(document.querySelector('.fer-video').closest('[id^=c]').id.slice(1)));
      return Object.fromEntries(view.chart.getOption().series.map((line) => [line.id, line.data]));
    }''')
    for face in ('f1', 'f2'):
        own = [row for row in rows if row['face_id'] == face]
        for line, column in ((face, 'valence'), (f'{face} raw', 'raw_valence')):
            points = np.array([point for point in drawn[line] if point[0] is not None])
            assert points[:, 0] == pytest.approx([float(row['time_s']) for row in own], abs=1e-5)
            assert points[:, 1] == pytest.approx([float(row[column]) for row in own], abs=1.01e-4)
    assert max(point[0] for point in drawn['f1']) != max(point[0] for point in drawn['f2'])  # one left


def _picture_and_line_go_together(page, rows) -> None:
    slider = page.get_by_role('slider', name=Video.position)
    slider.focus()
    page.keyboard.press('End')
    assert frame(page) == 29
    here = {row['face_id'] for row in rows if row['frame'] == '29'}
    away = {'f1', 'f2'} - here
    assert len(here) == len(away) == 1
    page.get_by_test_id(f'face-{away.pop()}').get_by_text(Video.away).wait_for()
    page.get_by_test_id(f'face-{here.pop()}').get_by_text('−').wait_for()
    page.keyboard.press('Home')
    page.keyboard.press('ArrowRight')
    assert frame(page) == 1
    page.keyboard.press('Shift+ArrowRight')
    assert frame(page) == 1 + RATE
    # Along the line: the middle of the axis is the middle of the video.
    box = page.locator('.fer-scrub').bounding_box()
    left, width = box['x'] + 44, box['width'] - 44 - 14  # as chart/index.js lays out
    page.mouse.move(left + 0.2 * width, box['y'] + 50)
    page.mouse.down()
    assert frame(page) == pytest.approx(0.2 * 29, abs=1)
    page.mouse.move(left + 0.5 * width, box['y'] + 50)
    page.mouse.up()
    assert frame(page) == pytest.approx(0.5 * 29, abs=1)
    veil = page.locator('.fer-veil').bounding_box()
    assert veil['x'] == pytest.approx(left + 0.5 * width, abs=width / 29 + 2)
    page.evaluate('''() => {
      const button = document.querySelector('.fer-video .fer-main');
      window.labels = [];
      new MutationObserver(() => window.labels.push(button.getAttribute('aria-label'))).observe(button, {
        attributes: true, attributeFilter: ['aria-label'] });
    }''')
    page.keyboard.press(' ')
    page.wait_for_function('labels => window.labels.join() === labels', arg=f'{Video.pause},{Video.play}')  # at the end
    assert frame(page) == 29
    assert page.locator('.fer-veil').bounding_box()['width'] == pytest.approx(2, abs=1)


def _range(page) -> list[float]:
    """The part of the time axis that is seen."""
    return page.evaluate('''() => {
      const view = getElement(Number(document.querySelector('.fer-video').closest('[id^=c]').id.slice(1)));
      const { min, max } = view.chart.getOption().xAxis[0];
      return [min, max];
    }''')


def _the_line_can_be_read(page, rows) -> None:
    box = page.locator('.fer-scrub').bounding_box()
    left, width = box['x'] + 44, box['width'] - 44 - 14
    page.mouse.move(left + 0.1 * width, box['y'] + 60)
    tip = page.locator('.fer-tip')
    row = next(row for row in rows if row['face_id'] == 'f1' and row['frame'] == '2')
    tip.get_by_text(Video.frame.format(frame=2)).wait_for()
    assert f'f1 {row["emotion"]}' in tip.inner_text()
    assert f'{float(row["valence"]):.2f}'.replace('-', '−') in tip.inner_text()
    # The wheel zooms where the mouse is, and scrolls the page when all is seen.
    page.mouse.move(left + 0.5 * width, box['y'] + 60)
    page.mouse.wheel(0, -208)  # exp(208 / 300) = 2
    page.get_by_role('button', name=Video.zoom_reset).wait_for()
    assert _range(page) == pytest.approx([0.725, 2.175], abs=0.03)
    page.keyboard.press('PageDown')
    assert _range(page) == pytest.approx([1.45, 2.9], abs=0.03)
    page.keyboard.press('0')
    assert _range(page) == [0, 2.9]
    page.keyboard.press('Home')
    page.keyboard.press('+')
    assert _range(page)[1] == pytest.approx(2.9 / 1.6, abs=0.03)
    page.keyboard.press('Shift+ArrowRight')
    page.keyboard.press('Shift+ArrowRight')
    start, end = _range(page)
    assert start <= 2.0 <= end, 'what is shown is seen'
    page.get_by_role('button', name=Video.zoom_reset).click()
    _two_fingers_zoom(page, left, width, box['y'] + 60)
    page.locator('.fer-legend').get_by_text('f1').click()
    assert page.evaluate(DRAWN) == ['f2', 'f2 raw']
    page.locator('.fer-legend').get_by_text('f1').click()
    # A loop at four times the speed comes back to its beginning.
    page.get_by_role('slider', name=Video.position).focus()
    page.keyboard.press('Home')
    page.keyboard.press('[')
    page.keyboard.press('Shift+ArrowRight')
    page.keyboard.press(']')
    for _ in range(3):
        page.keyboard.press('>')
    assert page.get_by_label(Video.speed).input_value() == '4'
    page.evaluate('''() => { window.seen = []; new MutationObserver(() => {
      const now = Number(document.querySelector('canvas').dataset.frame);
      if (now !== window.seen.at(-1)) window.seen.push(now);
    }).observe(document.querySelector('canvas'), { attributes: true }) }''')
    page.keyboard.press(' ')
    page.wait_for_function('window.seen.filter((now, i) => now < window.seen[i - 1]).length >= 2')
    page.keyboard.press(' ')
    assert page.evaluate('Math.max(...window.seen)') <= RATE
    page.keyboard.press('l')
    for _ in range(2):
        page.keyboard.press('<')
    page.get_by_role('button', name=Video.loop_end).wait_for(state='detached')


DRAWN = '''() => {
  const view = getElement(Number(document.querySelector('.fer-video').closest('[id^=c]').id.slice(1)));
  return view.chart.getOption().series.filter(Boolean).map(({ id }) => id).filter((id) => id.startsWith('f')).sort();
}'''


def _two_fingers_zoom(page, left, width, y) -> None:
    page.evaluate('''([left, width, y]) => {
      const scrub = document.querySelector('.fer-scrub');
      scrub.setPointerCapture = () => {};
      const send = (type, pointerId, share) => scrub.dispatchEvent(new PointerEvent(type,
        { pointerId, pointerType: 'touch', clientX: left + share * width, clientY: y, bubbles: true }));
      send('pointerdown', 11, 0.4);
      send('pointerdown', 12, 0.6);
      send('pointermove', 11, 0.3);
      send('pointermove', 12, 0.7);
      send('pointerup', 11, 0.3);
      send('pointerup', 12, 0.7);
      delete scrub.setPointerCapture;
    }''', [left, width, y])
    assert _range(page) == pytest.approx([0.725, 2.175], abs=0.03)
    page.keyboard.press('0')


def _the_session_is_summed_up_and_noted(page, rows) -> None:
    summary = page.get_by_test_id('session')
    own = {face: [float(row['valence']) for row in rows if row['face_id'] == face] for face in ('f1', 'f2')}
    for face, values in own.items():
        row = summary.get_by_role('row').filter(has=page.get_by_role('rowheader', name=face)).first
        assert row.get_by_role('cell').nth(1).inner_text() == (
            f'{np.mean(values):+.2f} ± {np.std(values):.2f}'.replace('-', '−'))
    # Faces that are seen together cannot be one person; a name alone can be given.
    page.get_by_label(Video.name_of.format(face='f1')).fill('Ada')
    page.keyboard.press('Enter')
    summary.get_by_role('rowheader', name='Ada').first.wait_for()
    page.get_by_label(Video.name_of.format(face='f2')).fill('Ada')
    page.keyboard.press('Enter')
    page.get_by_role('alert').filter(has_text='they cannot both be Ada').wait_for()
    # A marker where the video stands.
    page.get_by_role('slider', name=Video.position).focus()
    page.keyboard.press('Home')
    page.keyboard.press('Shift+ArrowRight')
    page.keyboard.press('m')
    page.wait_for_function("document.activeElement.matches('.fer-markers input')")
    page.keyboard.type('=1+1 <b>smile')
    page.keyboard.press('Enter')
    page.get_by_role('button', name=Video.marker_go.format(time='0:01.0')).wait_for()
    page.get_by_text('=1+1 <b>smile').wait_for()
    with page.expect_download() as download:
        page.get_by_role('link', name=Video.markers_csv).click()
    assert download.value.path().read_text() == "time_s,frame,text\n1.000,10,'=1+1 <b>smile\n"
    with page.expect_download() as download:
        page.get_by_role('link', name=Video.report).click()
    report = download.value.path().read_text()
    assert '=1+1 &lt;b&gt;smile' in report and '<td>Ada</td>' in report and '<b>faces' not in report
    assert report.count('<polyline') == 2 and not re.search(r'(src|href)=|<script', report)
    with page.expect_download() as download:
        page.get_by_role('link', name=Video.json, exact=True).click()
    told = json.loads(download.value.path().read_text())
    assert [person['name'] for person in told['people']] == ['Ada', 'f2'] and told['markers'][0]['time_s'] == 1.0
    page.get_by_role('button', name=Video.marker_remove.format(time='0:01.0')).click()
    page.get_by_text(Video.marker_none).wait_for()
    job = told and page.evaluate('async () => (await (await fetch("/video/state")).json()).job.id')
    for wrong in ('mark?time=nan', 'mark?time=-1', 'mark?time=1e9', 'mark', 'unmark?number=x', 'name?face=f9&name=x'):
        assert page.evaluate('async (url) => (await fetch(url, { method: "POST" })).status',
                             f'/video/{job}/{wrong}') in (400, 404), wrong


def _a_reload_comes_back_to_the_frame(page) -> None:
    page.get_by_role('slider', name=Video.position).focus()
    page.keyboard.press('Home')
    for _ in range(7):
        page.keyboard.press('ArrowRight')
    assert frame(page) == 7
    page.reload()
    done(page)
    assert frame(page) == 7


def _results_are_not_lost_by_accident(page, browser, dashboard, good) -> None:
    page.get_by_role('button', name=Video.another).click()
    page.get_by_role('dialog').get_by_text(good.name).wait_for()
    page.keyboard.press('Escape')
    assert frame(page) == 7
    other = open_video(browser, dashboard)
    other.get_by_role('button', name=Video.play).wait_for()
    assert other.evaluate('async () => (await fetch("/video/clip", { method: "POST" })).status') == 409
    for address in ('/video/cancel', '/video/cancel?job=', '/video/cancel?job=another'):
        other.evaluate('async (url) => (await fetch(url, { method: "POST" })).status', address)
    assert other.evaluate('async () => (await (await fetch("/video/state")).json()).job.state') == 'done'
    other.close()


def _nobody_else_sees_it(other, dashboard, addresses) -> None:
    page = open_video(other, dashboard)
    page.get_by_label(Video.upload).wait_for()
    private = {address for address in addresses if '/lines.json' in address or address.endswith('.jpg')}
    assert len(private) >= 5
    job = private.pop().rpartition('/')[0]
    private |= {f'{job}/{name}' for name in ('lines.json', 'session.json', 'report.html', 'markers.csv', 'video.csv',
                                             'video.mp4', 'video.png', '0.jpg')}
    for address in private:
        answer = page.evaluate('async (url) => (await fetch(url)).status', address)
        assert answer == 404, address
    for change in ('mark?time=1', 'unmark?number=1', 'name?face=f1&name=x'):
        answer = page.evaluate('async (url) => (await fetch(url, { method: "POST" })).status', f'{job}/{change}')
        assert answer == 404, change


def test_a_video_on_its_side_is_turned_before_it_is_analysed(watch, tmp_path, temporary, on_its_side):
    assert process_video.main([str(on_its_side), '--output', str(tmp_path / 'out'), '--rotate', '90']) == 0
    with Dashboard(tmp_path / 'log') as dashboard:
        browser = watch()
        page = open_video(browser, dashboard)
        page.get_by_label(Video.rotate).select_option('90')
        choose(page, on_its_side)
        done(page)
        frame(page)
        width, height = page.locator('canvas[data-frame]').evaluate('c => [c.width, c.height]')
        assert (width, height) == (2 * 640, 2 * 480)
        with page.expect_download() as download:
            page.get_by_role('link', name=Video.csv, exact=True).click()
        assert download.value.path().read_bytes() == (tmp_path / 'out' / 'sideways.csv').read_bytes()
        assert browser.errors == []
        assert dashboard.end() == 0


def test_files_that_are_not_taken(watch, tmp_path, temporary, good):
    slow = SlowJob(tmp_path / 'slow')
    with Dashboard(tmp_path / 'log', path=slow.folder, upload_megabytes=1) as dashboard:
        page = open_video(watch(), dashboard)
        problem = page.get_by_test_id('problem')
        text = tmp_path / 'text.mp4'
        text.write_text('a text ' * 1000)
        choose(page, text)
        problem.get_by_text(VideoErrors.not_video).wait_for()

        short = tmp_path / 'short.mp4'
        short.write_bytes(good.read_bytes()[:2000])
        choose(page, short)
        problem.get_by_text(VideoErrors.unreadable).wait_for()

        large = tmp_path / 'large.mp4'
        large.write_bytes(good.read_bytes() + bytes(1 << 20))
        choose(page, large)
        problem.get_by_text(VideoErrors.too_large.format(megabytes=1)).wait_for()
        # A page that does not check, with a length and without.
        send = '''async (size) => {
          const bytes = new Uint8Array(size);
          bytes.set([0, 0, 0, 24, 102, 116, 121, 112]);
          return (await fetch('/video/upload', { method: 'POST', body: bytes })).status;
        }'''
        assert page.evaluate(send, (1 << 20) + 1) == 413
        for address in ('/video/upload?rotate=45', '/video/clip?rotate=45', '/video/clip?rotate=x'):
            assert page.evaluate(f'async () => (await fetch("{address}", {{ method: "POST" }})).status') == 400
        assert page.evaluate('async () => (await fetch("/video/../../etc/passwd")).status') == 404
        assert uploads(temporary) == []
        page.get_by_role('button', name=Video.clip).click()
        page.get_by_role('status').filter(has_text=Video.state_starting).wait_for()
        page.get_by_role('button', name=Video.cancel).click()
        page.get_by_label(Video.upload).wait_for()
        wait_until(lambda: uploads(temporary) == [])
        assert dashboard.end() == 0
    assert list(temporary.iterdir()) == []


def test_a_killed_dashboard_leaves_no_process_and_the_next_one_no_files(watch, tmp_path, temporary):
    slow = SlowJob(tmp_path / 'slow')
    with Dashboard(tmp_path / 'log', path=slow.folder) as dashboard:
        page = open_video(watch(), dashboard)
        page.get_by_role('button', name=Video.clip).click()
        wait_until(lambda: uploads(temporary))
        page.get_by_role('status').filter(has_text=Video.state_starting).wait_for()
        wait_until(lambda: readers(dashboard.process.pid))
        reader, = readers(dashboard.process.pid)
        dashboard.end(signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f'/proc/{reader}/cmdline') or not _command(reader))
    assert uploads(temporary)
    with Dashboard(tmp_path / 'log2') as dashboard:
        assert dashboard.url
        assert uploads(temporary) == []
        assert dashboard.end() == 0
    assert list(temporary.iterdir()) == []


def readers(parent: int) -> list[int]:
    """The processes of jobs that a dashboard has started."""
    own = []
    for task in os.listdir(f'/proc/{parent}/task'):  # a thread starts them
        with suppress(FileNotFoundError, ProcessLookupError), open(f'/proc/{parent}/task/{task}/children') as file:
            own += file.read().split()
    return [int(pid) for pid in set(own) if 'job_process' in _command(int(pid))]


def _command(pid: int) -> str:
    try:
        with open(f'/proc/{pid}/cmdline') as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ''
