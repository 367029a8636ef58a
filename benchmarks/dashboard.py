"""Cost of the dashboard, latency of its images, and what a browser needs for the live view.

    python -m benchmarks.dashboard --json dashboard.json --docs docs/dashboard.md
    python -m benchmarks.dashboard --memory 60 --rate 10 --json dashboard_memory.json --docs docs/dashboard.md

The built-in clip at --rate frames/s, fer_node and dashboard are separate processes. Measured for 0, 1, 4 and 16
viewers: CPU of dashboard and fer_node as counted by the kernel (100 % is one core), results per second, images per
viewer. A viewer is a thread that sends requests as the page does and is never slow: a browser requests at most this
much.

The latency is measured in a headless Chromium: from the stamp of an image to the second animation frame after the page
decoded it, when it has been drawn. It includes everything: fer_node, encoding and browser. Before that, the time from
opening the page to its first picture.

Frames and heap are measured in a headless Chromium that shows eight faces, which a process publishes instead of
fer_node, 30 times per second with an image: the time from one animation frame to the next when the lines have 60 s, the
time to draw the chart, and for --minutes, twice a minute, the heap of the page after a garbage collection.

--memory measures the memory of the dashboard instead, with one viewer for so many minutes.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.machine import described, machine
from fer_ros.atomic_files import write_file
from fer_ros.msfernet.model_card import fill
from fer_ros.tools.demo import environment

VIEWERS = (0, 1, 4, 16)
PERIOD = 0.2
"""Seconds between two updates of the page's numbers."""
WARM_UP = 10.0
"""Seconds."""
FACES = 8
OPENINGS = 5
LINES = 60.0
"""Seconds of lines when frames are measured."""
VIEW = "getElement(Number(document.querySelector('.fer-live').id.slice(1)))"
FRAMES = f'''() => {{
  window.frames_ms = [];
  window.draws_ms = [];
  const view = {VIEW};
  let last = performance.now(), due = view.pace.due;
  const step = () => {{
    const now = performance.now();
    window.frames_ms.push(now - last);
    if (view.pace.due !== due) window.draws_ms.push(view.pace.took);
    due = view.pace.due;
    last = now;
    requestAnimationFrame(step);
  }};
  requestAnimationFrame(step);
}}'''
PICTURE = '''() => {
  window.delays = [];
  const image = document.querySelector('.fer-frame img');
  new MutationObserver(() => requestAnimationFrame(() => requestAnimationFrame(() => {
    const stamp = image.dataset.stamp;  // nanoseconds: too many digits for a number
    window.delays.push(performance.timeOrigin + performance.now() - Number(stamp.slice(0, -6)));
  }))).observe(image, { attributes: true, attributeFilter: ['data-stamp'] });
}'''


class Chain:
    """Source, fer_node and dashboard, or the dashboard `alone`; ends with the `with` block."""

    def __init__(self, folder: Path, rate: float = 30.0, alone: bool = False) -> None:
        self._folder = folder
        self.processes = {name: self._start(name, *arguments) for name, arguments in (
            ('dashboard', ('-p', 'port:=0')), *(() if alone else (
                ('fer_node', ('-r', 'image:=image_raw')), ('video_source', ('-p', f'rate:={rate}')))))}

    def _start(self, name: str, *arguments: str) -> subprocess.Popen:
        with (self._folder / f'{name}.log').open('w') as log:
            return subprocess.Popen([sys.executable, '-m', f'fer_ros.nodes.{name}', '--ros-args', *arguments],
                                    env=environment(), stdout=log, stderr=log)

    def __enter__(self) -> 'Chain':
        return self

    def __exit__(self, *exception) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)

    @property
    def url(self) -> str:
        """Of the page, once results come."""
        while True:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise SystemExit(f'{name} has ended: {(self._folder / f"{name}.log").read_text()}')
            found = (self._folder / 'dashboard.log').read_text().partition('the page is at ')[2].split()
            if found and ask(found[0].removeprefix('http://'), '/live/state')['frame']:
                return found[0]
            time.sleep(0.2)

    def cpu(self, name: str) -> float:
        """Seconds that the process has used so far."""
        fields = Path(f'/proc/{self.processes[name].pid}/stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def memory(self, name: str) -> float:
        """Resident MB."""
        status = Path(f'/proc/{self.processes[name].pid}/status').read_text()
        return int(next(line for line in status.splitlines() if line.startswith('VmRSS')).split()[1]) / 1024


def ask(address: str, path: str) -> dict:
    """An answer in JSON."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request('GET', path)
        return json.load(connection.getresponse())
    finally:
        connection.close()


def watch(address: str, pictures, ended) -> None:
    """A viewer: a thread that counts its pictures."""
    def numbers() -> None:
        connection, epoch, frame = http.client.HTTPConnection(address, timeout=30), 0, 0
        while not ended.is_set():
            connection.request('GET', f'/live/state?epoch={epoch}&after={frame}')
            answer = json.load(connection.getresponse())
            epoch, frame = answer['epoch'], answer['frame']
            time.sleep(PERIOD)

    threading.Thread(target=numbers, daemon=True).start()
    connection, number = http.client.HTTPConnection(address, timeout=30), 0
    while not ended.is_set():
        connection.request('GET', f'/live/frame?after={number}')
        answer = connection.getresponse()
        if answer.read():
            number = int(answer.headers['X-Number'])
            with pictures.get_lock():
                pictures.value += 1


class Viewers:
    """So many `watch`, as threads of one process, since as many processes would take the processor.

    They end with the `with` block.
    """

    def __init__(self, url: str, count: int) -> None:
        context = multiprocessing.get_context('spawn')
        self.pictures, self._ended = context.Value('q', 0), context.Event()
        self._count = count
        self._process = context.Process(target=watch_all, daemon=True, args=(
            url.removeprefix('http://'), count, self.pictures, self._ended))

    def __enter__(self) -> 'Viewers':
        self._process.start()
        return self

    def wait_until_they_see(self) -> None:
        """Until every viewer has had a few pictures."""
        while self._count and self.pictures.value < 3 * self._count:
            if not self._process.is_alive():
                raise SystemExit('the viewers have ended')
            time.sleep(0.1)

    def __exit__(self, *exception) -> None:
        self._ended.set()
        self._process.join(10)
        self._process.kill()


def watch_all(address: str, count: int, pictures, ended) -> None:
    """The process of so many viewers."""
    threads = [threading.Thread(target=watch, args=(address, pictures, ended), daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    ended.wait()


def measure_cpu(chain: Chain, viewers: int, seconds: float) -> dict:
    """CPU, rate and pictures with so many viewers."""
    url = chain.url
    address = url.removeprefix('http://')
    with Viewers(url, viewers) as watching:
        watching.wait_until_they_see()
        time.sleep(WARM_UP)
        names = ('dashboard', 'fer_node')
        before = {name: chain.cpu(name) for name in names}
        begin, first, pictures = time.monotonic(), ask(address, '/live/state'), watching.pictures.value
        time.sleep(seconds)
        last, elapsed = ask(address, '/live/state'), time.monotonic() - begin
        return {'viewers': viewers,
                **{f'{name}_cpu_percent': round(100 * (chain.cpu(name) - before[name]) / elapsed, 1) for name in names},
                'results_per_second': round((last['frame'] - first['frame']) / elapsed, 1),
                'latency_ms': last['status']['latency'],
                'pictures_per_viewer_and_second': round((watching.pictures.value - pictures) / elapsed
                                                        / max(viewers, 1), 1)}


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser; None if none is installed."""
    program = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if program is None:
        yield None
        return
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=['--no-sandbox'] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


def measure_delay(url: str, seconds: float) -> dict | None:
    """The page in Chromium: seconds to its first picture, and milliseconds from stamp to pixels with fer_node's part.

    None without a browser.
    """
    with chromium() as browser:
        if browser is None:
            return None
        opening = statistics.median(_opening(browser, url) for _ in range(OPENINGS))
        page = browser.new_page(viewport={'width': 1280, 'height': 900})
        page.goto(url)
        page.locator('.fer-frame img[data-stamp]').wait_for(timeout=120_000)
        page.wait_for_timeout(1000 * WARM_UP / 2)
        page.evaluate(PICTURE)
        page.wait_for_timeout(1000 * seconds)
        delays = sorted(page.evaluate('window.delays'))
        latency = ask(url.removeprefix('http://'), '/live/state')['status']['latency']
    return {'opening_s': round(opening, 2), 'pictures_per_second': round(len(delays) / seconds, 1),
            'median_ms': round(statistics.median(delays)), 'p95_ms': round(p95(delays)), 'fer_latency_ms': latency}


def _opening(browser, url: str) -> float:
    """Seconds from opening the page to its first picture, with an empty cache."""
    context = browser.new_context(viewport={'width': 1280, 'height': 900})
    page = context.new_page()
    page.goto(url, wait_until='commit')
    shown = page.wait_for_function('() => document.querySelector(".fer-frame img[data-stamp]") && performance.now()',
                                   timeout=120_000).json_value()
    context.close()
    return shown / 1000


def p95(values: list[float]) -> float:
    """The value that 95 % do not exceed."""
    return sorted(values)[int(0.95 * (len(values) - 1))]


def publish_faces(ended) -> None:
    """Instead of fer_node: `FACES` faces in each of 30 frames per second, and an image of them while it is wanted."""
    import numpy as np
    import rclpy
    from rclpy.node import Node
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header, String

    from fer_ros.drawing.annotate import annotate
    from fer_ros.drawing.colours import FaceColours
    from fer_ros.emotions import EMOTIONS, valence
    from fer_ros.media.built_in_clip import BuiltInClip
    from fer_ros.nodes import qos
    from fer_ros.nodes.image_conversion import to_message
    from fer_ros.results.faces import FaceEmotion, FacesFrame, encode

    rclpy.init()
    node = Node('fer')
    faces = node.create_publisher(String, '~/faces', qos.result())
    images = node.create_publisher(Image, '~/annotated', qos.latest_image())
    clip, colours, count = BuiltInClip(), FaceColours(), 0
    frames = [clip.frame(index) for index in range(30)]

    def of(number: int, seconds: float) -> FaceEmotion:
        happy = 0.5 + 0.4 * float(np.sin(seconds * (1 + number / 5) + number))
        raw = min(1.0, max(0.0, happy + 0.08 * float(np.sin(40 * seconds + number))))
        smoothed, single = (tuple({'happy': p, 'sad': 1 - p}.get(emotion, 0.0) for emotion in EMOTIONS)
                            for p in (happy, raw))
        box = 20.0 + 150 * (number % 4), 40.0 + 220 * (number // 4), 110.0, 110.0
        return FaceEmotion(f'f{number + 1}', box, smoothed, 'happy' if happy > 0.5 else 'sad', max(happy, 1 - happy),
                           float(valence(smoothed)), float(valence(single)))

    def step() -> None:
        nonlocal count
        count += 1
        stamp = node.get_clock().now()
        frame = FacesFrame(stamp.nanoseconds, 'camera', 640, 480, tuple(of(n, count / 30) for n in range(FACES)), 'f1')
        faces.publish(String(data=encode(frame)))
        if images.get_subscription_count():
            images.publish(to_message(annotate(frames[count % 30], frame, colours),
                                      Header(stamp=stamp.to_msg(), frame_id='camera')))
    node.create_timer(1 / 30, step)
    while not ended.is_set():
        rclpy.spin_once(node, timeout_sec=0.1)
    rclpy.shutdown()


def measure_browser(folder: Path, seconds: float, minutes: float) -> dict | None:
    """Frames of the page with `FACES` faces, and its heap for so many minutes; None without a browser."""
    context = multiprocessing.get_context('spawn')
    ended = context.Event()
    publisher = context.Process(target=publish_faces, args=(ended,), daemon=True)
    with Chain(folder, alone=True) as chain, chromium() as browser:
        if browser is None:
            return None
        publisher.start()
        try:
            page = browser.new_page(viewport={'width': 1280, 'height': 900})
            page.set_default_timeout(600_000)
            page.goto(chain.url)
            page.locator('.fer-frame img[data-stamp]').wait_for()
            devtools = page.context.new_cdp_session(page)
            begin, samples = time.monotonic(), []
            page.wait_for_function(
                f'{VIEW}.lines.size === {FACES} && [...{VIEW}.lines.values()].every(({{ points }}) => '
                f'points.at(-1)[0] - points.find(Boolean)[0] > {LINES - 1})')
            page.evaluate(FRAMES)
            page.wait_for_timeout(1000 * seconds)
            frames, draws = page.evaluate('[window.frames_ms, window.draws_ms]')
            while True:
                devtools.send('HeapProfiler.collectGarbage')
                used = devtools.send('Runtime.getHeapUsage')['usedSize']
                samples.append({'minute': round((time.monotonic() - begin) / 60, 1), 'megabytes': round(used / 1e6, 1)})
                left = begin + 60 * minutes - time.monotonic()
                if left <= 0:
                    break
                page.wait_for_timeout(1000 * min(left, 30.0))
        finally:
            ended.set()
            publisher.join(30)
            publisher.kill()
    return {'faces': FACES, 'frames': len(frames), 'frame_median_ms': round(statistics.median(frames), 1),
            'frame_p95_ms': round(p95(frames), 1), 'draw_median_ms': round(statistics.median(draws), 1),
            'draw_p95_ms': round(p95(draws), 1), 'draws_per_second': round(len(draws) / seconds, 1), 'heap': samples}


def measure_memory(chain: Chain, minutes: float) -> list[dict]:
    """Resident memory of the dashboard, every half minute."""
    samples = []
    address = chain.url.removeprefix('http://')
    with Viewers(chain.url, 1) as watching:
        watching.wait_until_they_see()
        begin = time.monotonic()
        for _ in tqdm(range(round(2 * minutes) + 1), unit='sample'):
            samples.append({'minute': round((time.monotonic() - begin) / 60, 2),
                            'megabytes': round(chain.memory('dashboard'), 1),
                            'results': ask(address, '/live/state')['frame'], 'pictures': watching.pictures.value})
            time.sleep(30.0)
    return samples


def cost_text(cpu: list[dict], delay: dict | None, facts: dict) -> str:
    """Markdown."""
    rows = ['| viewers | dashboard, share of one core | fer_node, share of one core | results | pictures per viewer |',
            '| --- | --- | --- | --- | --- |']
    rows += [f'| {case["viewers"]} | {case["dashboard_cpu_percent"]:.1f} % | {case["fer_node_cpu_percent"]:.1f} % | '
             f'{case["results_per_second"]:.1f}/s | {case["pictures_per_viewer_and_second"]:.1f}/s |' for case in cpu]
    text = described(facts) + '\n\n' + '\n'.join(rows)
    if delay:
        text += (f'\n\nFrom the image\'s stamp to the pixels in a headless Chromium on the same machine, which draws '
                 f'without a GPU: {delay["median_ms"]} ms (median; 95 % within {delay["p95_ms"]} ms) at '
                 f'{delay["pictures_per_second"]:.1f} pictures/s. Of that fer_node takes {delay["fer_latency_ms"]} ms '
                 'until the dashboard has the result. From opening the page with an empty cache to its first picture '
                 f'it takes {delay["opening_s"]:.1f} s (median of {OPENINGS}).')
    return text


def browser_text(found: dict) -> str:
    """Markdown."""
    heap = found['heap']
    return (f'With {found["faces"]} faces and {LINES:.0f} s of lines in a headless Chromium of 1280×900 pixels, '
            f'without a GPU: {found["frame_median_ms"]} ms from one animation frame to the next (median; 95 % within '
            f'{found["frame_p95_ms"]} ms); the chart is drawn in {found["draw_median_ms"]} ms (95 % within '
            f'{found["draw_p95_ms"]} ms), {found["draws_per_second"]} times per second. The heap of the page has '
            f'{heap[0]["megabytes"]:.0f} MB after {heap[0]["minute"]:.0f} min, {heap[-1]["megabytes"]:.0f} MB after '
            f'{heap[-1]["minute"]:.0f} min, at most {max(sample["megabytes"] for sample in heap):.0f} MB.')


def memory_text(samples: list[dict]) -> str:
    """Markdown."""
    first = next(s for s in samples if s['minute'] >= min(2.0, samples[-1]['minute']))
    return (f'Memory of the dashboard with one viewer: {first["megabytes"]:.0f} MB after {first["minute"]:.0f} min, '
            f'{samples[-1]["megabytes"]:.0f} MB after {samples[-1]["minute"]:.0f} min, at most '
            f'{max(s["megabytes"] for s in samples):.0f} MB; {samples[-1]["results"]:,} results and '
            f'{samples[-1]["pictures"]:,} pictures went through it.')


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=30.0, help='measured for each case (default: 30)')
    parser.add_argument('--minutes', type=float, default=10.0,
                        help='measure the heap of the browser for so long (default: 10)')
    parser.add_argument('--memory', type=float, default=0.0, help='measure memory for so many minutes instead')
    parser.add_argument('--only-browser', action='store_true', help='measure frames and heap only')
    parser.add_argument('--rate', type=float, default=30.0, help='of the camera, in frames/s (default: 30)')
    parser.add_argument('--json', type=Path, help='write the figures here')
    parser.add_argument('--docs', type=Path, help='document to fill them in')
    options = parser.parse_args()
    os.environ.update(environment())  # one domain for all
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # also then the processes are ended
    result: dict = {'machine': machine()}
    texts: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        if not options.only_browser:
            with Chain(Path(folder), options.rate) as chain:
                if options.memory:
                    result['memory'] = measure_memory(chain, options.memory)
                    texts['memory'] = memory_text(result['memory'])
                else:
                    result['cpu'] = []
                    for viewers in tqdm(VIEWERS, unit='case'):
                        result['cpu'].append(measure_cpu(chain, viewers, options.seconds))
                        tqdm.write(json.dumps(result['cpu'][-1]))
                    time.sleep(WARM_UP)
                    result['delay'] = measure_delay(chain.url, options.seconds)
                    texts['cost'] = cost_text(result['cpu'], result['delay'], result['machine'])
        if not options.memory:
            result['browser'] = measure_browser(Path(folder), options.seconds, options.minutes)
            if result['browser'] is not None:
                texts['browser'] = browser_text(result['browser'])
    for text in texts.values():
        print(text)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + '\n')
    if options.docs:
        document = options.docs.read_text(encoding='utf-8')
        for name, text in texts.items():
            document = fill(document, name, text)
        write_file(options.docs, document.encode())


if __name__ == '__main__':
    main()
