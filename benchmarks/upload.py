"""Time from the end of an upload to its first result, and to its last.

    python -m benchmarks.upload --docs docs/dashboard.md

The built-in clip, repeated, is uploaded as a video of 1280×720 pixels and 30 frames/s with the page in a headless
Chromium: with a process that is ready and at once after the page was opened, with and without live view (built-in clip
and fer_node on the same machine, and another page that shows them). Also the processor time meanwhile, as counted by
the kernel: of the process that analyses, from its start on, of the browser, and of the programs of the live view. Other
programs hardly change it, while they do change how long the analysis takes.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.dashboard import Chain
from benchmarks.machine import described, machine
from fer_ros.atomic_files import write_file
from fer_ros.media.built_in_clip import BuiltInClip
from fer_ros.media.video_writer import VideoWriter
from fer_ros.msfernet.model_card import fill
from fer_ros.tools.demo import environment
from fer_ros.web.texts import Video

RATE = 30.0
READY = 20.0
"""Seconds after which the process is certainly ready."""
WATCH = '''() => {
  window.times = {};
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (body) {
    this.upload.addEventListener("load", () => (window.times.sent = performance.now()));
    return send.call(this, body);
  };
  new MutationObserver(() => {
    if (document.querySelector("canvas[data-painted]")) window.times.first ??= performance.now();
    if (document.querySelector('a[href$="video.csv"]')) window.times.last ??= performance.now();
  }).observe(document.body, { subtree: true, childList: true, attributes: true });
}'''


def write_video(path: Path, seconds: float) -> None:
    """The built-in clip, as often as necessary."""
    clip, writer, count = BuiltInClip(1280, 720, RATE), VideoWriter(path, RATE), round(seconds * RATE)
    for index in range(count):
        writer.add(clip.frame(index % len(clip)), index / RATE)
    writer.close()


def measure(browser, url: str, video: Path, ready: bool) -> tuple[float, float]:
    """Seconds from the end of the upload to the first picture with its faces, and to the end of the analysis."""
    context = browser.new_context(viewport={'width': 1280, 'height': 900})
    page = context.new_page()
    page.set_default_timeout(600_000)
    page.goto(f'{url}/?tab=video')
    page.get_by_label(Video.upload).wait_for()
    if ready:
        time.sleep(READY)
    page.evaluate(WATCH)
    page.get_by_label(Video.upload).set_input_files(video)
    page.wait_for_function('window.times.last')
    times = page.evaluate('window.times')
    page.get_by_role('button', name=Video.another).click()
    page.get_by_role('button', name=Video.remove).click()
    page.get_by_label(Video.upload).wait_for()
    context.close()
    return (times['first'] - times['sent']) / 1000, (times['last'] - times['sent']) / 1000


def _stat(pid: int) -> list[str]:
    return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()


def processor_time(chain: Chain) -> dict[str, float]:
    """Seconds so far: of processes that have analysed videos and ended, of the live view, and of all browsers."""
    tick = os.sysconf('SC_CLK_TCK')
    dashboard = _stat(chain.processes['dashboard'].pid)
    times = {'analysis': (int(dashboard[13]) + int(dashboard[14])) / tick,
             'live': sum(chain.cpu(name) for name, process in chain.processes.items() if process.poll() is None)}
    parents, used = {}, {}
    for path in Path('/proc').glob('[0-9]*'):
        try:
            fields = _stat(int(path.name))
        except OSError:  # ended meanwhile
            continue
        parents[int(path.name)] = int(fields[1])
        used[int(path.name)] = (int(fields[11]) + int(fields[12])) / tick
    own, children = {os.getpid()}, {process.pid for process in chain.processes.values()}
    while found := {pid for pid, parent in parents.items() if parent in own} - own - children:
        own |= found
    times['browser'] = sum(used[pid] for pid in own - {os.getpid()})
    return times


def memory_of_ready(dashboard: subprocess.Popen) -> float:
    """Resident MB of the process that is ready."""
    for path in Path('/proc').glob('[0-9]*'):
        try:
            if b'fer_ros.web.video.job_process' in (path / 'cmdline').read_bytes():
                fields = (path / 'stat').read_text().rpartition(')')[2].split()
                if int(fields[1]) == dashboard.pid:
                    return int((path / 'statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2 ** 20
        except OSError:
            continue
    raise SystemExit('no process is ready')


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=60.0, help='length of the video (default: 60)')
    parser.add_argument('--only-ready', action='store_true', help='leave out the cases in which no process is ready')
    parser.add_argument('--docs', type=Path, help='document to fill the figures in')
    options = parser.parse_args()
    os.environ.update(environment())
    program = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if program is None:
        raise SystemExit('no browser: install chromium')
    from playwright.sync_api import sync_playwright
    rows = ['| live view | process | first result | whole analysis | processor time of the analysis | of the browser | '
            'of the live view |', '| --- | --- | --- | --- | --- | --- | --- |']
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        video = Path(folder) / 'video.mp4'
        write_video(video, options.seconds)
        browser = playwright.chromium.launch(
            executable_path=program, args=['--no-sandbox'] if os.geteuid() == 0 else [])
        with Chain(Path(folder)) as chain:
            url = chain.url
            live = browser.new_page()
            live.goto(url)
            cases = [('on', True), ('on', False), ('off', True), ('off', False)]
            for view, ready in cases:
                if options.only_ready and not ready:
                    continue
                if view == 'off' and not live.is_closed():
                    live.close()
                    for name in ('fer_node', 'video_source'):
                        chain.processes[name].terminate()
                        chain.processes[name].wait(30)
                before = processor_time(chain)
                first, last = measure(browser, url, video, ready)
                used = {name: seconds - before[name] for name, seconds in processor_time(chain).items()}
                rows.append(f'| {view} | {"ready" if ready else "not yet"} | {first:.1f} s | {last:.0f} s | '
                            + ' | '.join(f'{used[name]:.0f} s' for name in ('analysis', 'browser', 'live')) + ' |')
                print(rows[-1], flush=True)
            page = browser.new_page()
            page.goto(f'{url}/?tab=video')
            time.sleep(READY)
            memory = memory_of_ready(chain.processes['dashboard'])
        browser.close()
    text = (described(machine()) + '\n\n' + '\n'.join(rows)
            + f'\n\nThe video has {options.seconds:g} s. The process that is ready has {memory:.0f} MB of memory.')
    print(text)
    if options.docs:
        write_file(options.docs, fill(options.docs.read_text(encoding='utf-8'), 'upload', text).encode())


if __name__ == '__main__':
    main()
