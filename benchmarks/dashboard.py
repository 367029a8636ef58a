"""Cost of the dashboard, and latency of its images.

    python -m benchmarks.dashboard --json dashboard.json --docs docs/dashboard.md
    python -m benchmarks.dashboard --minutes 60 --json dashboard_memory.json --docs docs/dashboard.md

The built-in clip at --rate frames/s, fer_node and dashboard are separate processes. Measured for 0, 1 and 4 viewers:
CPU of dashboard and fer_node as counted by the kernel (100 % is one core), results per second, images per viewer. A
viewer is a process that sends requests as the page does and is never slow: a browser requests at most this much.

The latency is measured in a headless Chromium: from the stamp of an image to the second animation frame after the page
decoded it, when it has been drawn. It includes everything: fer_node, encoding and browser.

--minutes measures the memory of the dashboard instead, with one viewer all the time.
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
from pathlib import Path

from tqdm import tqdm

from benchmarks.machine import described, machine
from fer_ros.atomic_files import write_file
from fer_ros.msfernet.model_card import fill
from fer_ros.tools.demo import environment

VIEWERS = (0, 1, 4)
PERIOD = 0.2
"""Seconds between two updates of the page's numbers."""
WARM_UP = 10.0
"""Seconds."""
PICTURE = '''() => {
  window.delays = [];
  const image = document.querySelector('.fer-frame img');
  new MutationObserver(() => requestAnimationFrame(() => requestAnimationFrame(() => {
    const stamp = image.dataset.stamp;  // nanoseconds: too many digits for a number
    window.delays.push(performance.timeOrigin + performance.now() - Number(stamp.slice(0, -6)));
  }))).observe(image, { attributes: true, attributeFilter: ['data-stamp'] });
}'''


class Chain:
    """Source, fer_node and dashboard; ends with the `with` block."""

    def __init__(self, folder: Path, rate: float = 30.0) -> None:
        self._folder = folder
        self.processes = {name: self._start(name, *arguments) for name, arguments in (
            ('dashboard', ('-p', 'port:=0')), ('fer_node', ('-r', 'image:=image_raw')),
            ('video_source', ('-p', f'rate:={rate}')))}

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
    """A viewer: a process of its own that counts its pictures."""
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
    """So many `watch`; end with the `with` block."""

    def __init__(self, url: str, count: int) -> None:
        context = multiprocessing.get_context('spawn')
        self.pictures, self._ended = context.Value('q', 0), context.Event()
        self._processes = [context.Process(target=watch, args=(url.removeprefix('http://'), self.pictures, self._ended),
                                           daemon=True) for _ in range(count)]

    def __enter__(self) -> 'Viewers':
        for process in self._processes:
            process.start()
        return self

    def wait_until_they_see(self) -> None:
        """Until every viewer has had a few pictures."""
        while self._processes and self.pictures.value < 3 * len(self._processes):
            if not all(process.is_alive() for process in self._processes):
                raise SystemExit('a viewer has ended')
            time.sleep(0.1)

    def __exit__(self, *exception) -> None:
        self._ended.set()
        for process in self._processes:
            process.join(10)
            process.kill()


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


def measure_delay(url: str, seconds: float) -> dict | None:
    """Milliseconds from stamp to pixels in Chromium, and what fer_node has of it; None without a browser."""
    program = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if program is None:
        return None
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=['--no-sandbox'] if os.geteuid() == 0 else [])
        page = browser.new_page(viewport={'width': 1280, 'height': 900})
        page.goto(url)
        page.locator('.fer-frame img[data-stamp]').wait_for(timeout=120_000)
        page.wait_for_timeout(1000 * WARM_UP / 2)
        page.evaluate(PICTURE)
        page.wait_for_timeout(1000 * seconds)
        delays = sorted(page.evaluate('window.delays'))
        latency = ask(url.removeprefix('http://'), '/live/state')['status']['latency']
        browser.close()
    return {'pictures_per_second': round(len(delays) / seconds, 1), 'median_ms': round(statistics.median(delays)),
            'p95_ms': round(delays[int(0.95 * (len(delays) - 1))]), 'fer_latency_ms': latency}


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
                 'until the dashboard has the result.')
    return text


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
    parser.add_argument('--minutes', type=float, default=0.0, help='measure memory for so long instead')
    parser.add_argument('--rate', type=float, default=30.0, help='of the camera, in frames/s (default: 30)')
    parser.add_argument('--json', type=Path, help='write the figures here')
    parser.add_argument('--docs', type=Path, help='document to fill them in')
    options = parser.parse_args()
    os.environ.update(environment())  # one domain for all
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # also then the processes are ended
    result: dict = {'machine': machine()}
    with tempfile.TemporaryDirectory() as folder, Chain(Path(folder), options.rate) as chain:
        if options.minutes:
            result['memory'] = measure_memory(chain, options.minutes)
            name, text = 'memory', memory_text(result['memory'])
        else:
            result['cpu'] = []
            for viewers in tqdm(VIEWERS, unit='case'):
                result['cpu'].append(measure_cpu(chain, viewers, options.seconds))
                tqdm.write(json.dumps(result['cpu'][-1]))
            time.sleep(WARM_UP)
            result['delay'] = measure_delay(chain.url, options.seconds)
            name, text = 'cost', cost_text(result['cpu'], result['delay'], result['machine'])
    print(text)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + '\n')
    if options.docs:
        write_file(options.docs, fill(options.docs.read_text(encoding='utf-8'), name, text).encode())


if __name__ == '__main__':
    main()
