"""The demo on a machine without ROS: source, fer_node, plot and live table as processes over DDS.

    python -m fer_ros.tools.demo --video 0 --seconds 20 --output demo_output

With --dashboard the web page replaces plot and table, until Ctrl-C.
"""

import argparse
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import fer_ros
from fer_ros.fastdds import PROFILE_VARIABLES, profile_variable
from fer_ros.media.urls import shown
from fer_ros.package_files import shared_file
from fer_ros.web.server.settings import TOKEN_VARIABLE

START = 120.0
"""Seconds until the first result is expected."""
GRACE = 15.0
"""Seconds that a process has to end after a signal."""
FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0
"""Seconds until a process that ended is started again: doubled with each time, up to the longest."""
STABLE = 30.0
"""Seconds after which a process counts as running: the next delay is the first again."""
MOST_RESTARTS = 20
"""Number of restarts in succession after which a process is left alone."""


class DemoError(Exception):
    """The demo cannot continue; the message is one line."""


class Restarts:
    """When a process that ended is to be started again.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._count = 0
        self._due: float | None = None

    def ended(self) -> float | None:
        """Report that it has ended: seconds until it is to be started again, None if it is to be left alone."""
        if self._clock() - self._started >= STABLE:
            self._count = 0
        if self._count == MOST_RESTARTS:
            self._due = math.inf
            return None
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** self._count)
        self._count += 1
        self._due = self._clock() + delay
        return delay

    @property
    def waiting(self) -> bool:
        """Whether its end has been reported, and it has not been started since."""
        return self._due is not None

    def start_now(self) -> bool:
        """Whether it is time; true once."""
        if self._due is None or self._clock() < self._due:
            return False
        self._due, self._started = None, self._clock()
        return True


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """Signals take effect after the block: in the middle of it they would leave a process behind."""
    noted: list[int] = []
    before = {number: signal.signal(number, lambda sent, _: noted.append(sent))
              for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for restored, handler in before.items():
            signal.signal(restored, handler)
        for sent in noted[:1]:
            signal.raise_signal(sent)


class Processes:
    """Nodes of this package as child processes, each in its own process group and with its own log file."""

    def __init__(self, logs: Path, environment: dict[str, str]):
        self._logs, self._environment = logs, environment
        self._running: dict[str, subprocess.Popen] = {}
        self._arguments: dict[str, tuple[str, ...]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, *arguments: str, to_terminal: bool = False) -> None:
        """Start fer_ros.nodes.<name>; with `to_terminal` its standard output is not redirected to the log."""
        own = {key: value for key, value in self._environment.items() if key != TOKEN_VARIABLE or name == 'dashboard'}
        self._arguments[name] = arguments
        # A restarted process adds to its log.
        with self._log(name).open('ab' if name in self._running else 'wb') as log, _signals_deferred():
            self._running[name] = subprocess.Popen(
                [sys.executable, '-m', f'fer_ros.nodes.{name}', *arguments], stdin=subprocess.DEVNULL,
                stdout=None if to_terminal else log, stderr=log, env=own, start_new_session=True)

    def wait_for(self, name: str, seconds: float, condition: Callable[[], bool] = lambda: False) -> None:
        """Wait until `name` has ended successfully, or `condition` holds.

        Raises:
            DemoError: it or another process failed, or it takes longer than `seconds`.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check(may_end=name)
            if self._running[name].poll() == 0 or condition():
                return
            time.sleep(0.1)
        raise DemoError(f'no output from {name} within {seconds:.0f} s; see {self._logs}')

    def serve(self, name: str) -> None:
        """Wait until `name` has ended successfully; every other process that ends is started again.

        Raises:
            DemoError: `name` failed, or another process failed at once because of a mistake that it reports.
        """
        others = {other: Restarts() for other in self._running if other != name}
        ran = {other: time.monotonic() for other in others}
        while self._running[name].poll() is None:
            for other, restarts in others.items():
                if self._running[other].poll() is None:
                    continue
                if not restarts.waiting:
                    if self._running[other].returncode > 0 and time.monotonic() - ran[other] < STABLE:
                        self.check(may_end=name)
                    self._report(other, restarts.ended())
                if restarts.start_now():
                    self.start(other, *self._arguments[other])
            time.sleep(0.1)
        if self._running[name].returncode:
            raise DemoError(f'{name} exited: {self._last_line(name)}')

    def _report(self, name: str, delay: float | None) -> None:
        code = self._running[name].returncode
        reason = f'was killed by {signal.Signals(-code).name}' if code < 0 else f'exited: {self._last_line(name)}'
        then = f'starting it again in {delay:g} s' if delay is not None else f'not started again; see {self._logs}'
        print(f'{name} {reason}; {then}', flush=True)

    def pid(self, name: str) -> int:
        """Process id of `name`."""
        return self._running[name].pid

    def check(self, may_end: str = '') -> None:
        """Check that all processes are running.

        Raises:
            DemoError: a process failed, or one other than `may_end` has ended.
        """
        for name, process in self._running.items():
            code = process.poll()
            if code or (code == 0 and name != may_end):
                raise DemoError(f'{name} exited: {self._last_line(name)}')

    def end(self) -> None:
        """Interrupt every process, wait for it, and kill the process groups of those that do not end."""
        with _signals_deferred():
            for number, seconds in ((signal.SIGINT, GRACE), (signal.SIGKILL, GRACE)):
                for process in self._running.values():
                    if process.poll() is None:
                        os.killpg(process.pid, number)
                end = time.monotonic() + seconds
                for process in self._running.values():
                    try:
                        process.wait(max(0.0, end - time.monotonic()))
                    except subprocess.TimeoutExpired:
                        continue

    def log(self, name: str) -> str:
        """The log of `name` so far."""
        return self._log(name).read_text(errors='replace')

    def _log(self, name: str) -> Path:
        return self._logs / f'{name}.log'

    def _last_line(self, name: str) -> str:
        lines = self.log(name).splitlines()
        line = next((line for line in reversed(lines) if line.startswith('[FATAL]')), lines[-1] if lines else '')
        return line.rpartition(f'[{name}]: ')[2] or 'no message'


def environment() -> dict[str, str]:
    """The environment of child processes: local only, own domain, shared memory large enough for images.

    Settings of the user are kept, except for the discovery range: images do not leave the machine. The range alone
    would leave ports open on every network interface, which the profile closes.
    """
    result = dict(os.environ, ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST')
    # Domains up to 101 do not overlap with the ephemeral ports of Linux.
    result.setdefault('ROS_DOMAIN_ID', str(20 + os.getpid() % 80))
    if not any(name in result for name in PROFILE_VARIABLES):
        result[profile_variable()] = str(shared_file('config/fastdds_local.xml'))
    if (Path(sys.prefix) / 'share' / 'ament_index').is_dir():  # ROS 2 as wheels
        result.setdefault('AMENT_PREFIX_PATH', sys.prefix)
    folders = [str(Path(fer_ros.__file__).resolve().parent.parent), result.get('PYTHONPATH', '')]
    result['PYTHONPATH'] = os.pathsep.join(filter(None, folders))
    return result


def run(video: str, seconds: float, output: Path) -> list[Path]:
    """Run the demo and return the files that it wrote.

    Args:
        video: as for `fer_ros.media.frame_sources.open_source`.
        seconds: duration after the first result.
        output: folder of the files.

    Raises:
        DemoError: a process failed.
    """
    output.mkdir(parents=True, exist_ok=True)
    wanted = {suffix: output / name for suffix, name in
              (('.mp4', 'annotated.mp4'), ('.csv', 'valence.csv'), ('.png', 'valence.png'))}
    for path in wanted.values():  # a failed run must not look successful
        path.unlink(missing_ok=True)
    child_environment = environment()
    processes = Processes(output / 'logs', child_environment)
    plots = output / 'plots'
    before = set(plots.glob('*'))
    print(f'fer_ros on {shown(video) or "the built-in clip"} for {seconds:g} s (ROS_DOMAIN_ID='
          f'{child_environment["ROS_DOMAIN_ID"]}), press Ctrl-C to stop', flush=True)
    try:
        processes.start('fer_node', '--ros-args', '-r', 'image:=image_raw')
        processes.start('video_source', '--ros-args', *_parameter('video', video))
        processes.start('valence_plot', '--ros-args', '-p', f'output_dir:={plots}', '-p',
                        f'seconds:={min(max(seconds, 1.0), 3600.0):.1f}')
        processes.start('live_table', '--ros-args', '-p', f'seconds:={seconds:.1f}', '-p',
                        f'video:={wanted[".mp4"]}', to_terminal=True)
        processes.wait_for('live_table', START + seconds)
    finally:
        processes.end()
        for path in set(plots.glob('*')) - before:
            if path.suffix in wanted:
                path.replace(wanted[path.suffix])
        if plots.is_dir() and not any(plots.iterdir()):
            plots.rmdir()
    missing = [path.name for path in wanted.values() if not path.exists()]
    if missing:
        raise DemoError(f'{", ".join(missing)} missing in {output}; see {output / "logs"}')
    return list(wanted.values())


def run_dashboard(video: str, port: int, output: Path) -> None:
    """Serve the page of the node `dashboard` until interrupted, whatever happens to the camera and to `fer`.

    Args:
        video: as for `run`; 'none': no source, for a camera that is selected on the page or already running.
        port: port of the page.
        output: folder of the logs.

    Raises:
        DemoError: a process failed.
    """
    processes = Processes(output / 'logs', environment())
    try:
        processes.start('dashboard', '--ros-args', '-p', f'port:={port}')
        processes.start('fer_node', '--ros-args', '-r', 'image:=image_raw')
        if video != 'none':
            processes.start('video_source', '--ros-args', *_parameter('video', video))
        processes.wait_for('dashboard', START, lambda: 'the page is at' in processes.log('dashboard'))
        source = 'a camera selected on the page' if video == 'none' else shown(video) or 'the built-in clip'
        print(f'fer_ros on {source}: '
              f'http://127.0.0.1:{port} (press Ctrl-C to stop)', flush=True)
        processes.serve('dashboard')
    finally:
        processes.end()


def _parameter(name: str, value: str) -> list[str]:
    """ROS arguments of a string, which YAML would otherwise parse as a number ('0') or reject (empty)."""
    return ['-p', f'{name}:="{value}"'] if value else []


def main(args: list[str] | None = None) -> int:
    """Entry point; returns exit code 0 after `seconds`, 1 after a failure, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description='Faces, emotions and valence, live in the terminal.')
    parser.add_argument('--video', default='', help='camera number, rtsp:// or http:// address, video file or image '
                        'folder (default: the built-in clip); with --dashboard also none')
    parser.add_argument('--dashboard', action='store_true', help='serve a web page until Ctrl-C')
    parser.add_argument('--port', type=int, default=8080, help='port of that page (default: 8080)')
    parser.add_argument('--seconds', type=_seconds, default=20.0, help='duration (default: 20)')
    parser.add_argument('--output', type=Path, default=Path('demo_output'), help='output folder (default: demo_output)')
    options = parser.parse_args(args)

    def interrupt(*_) -> None:
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)
    files = []
    try:
        if options.dashboard:
            run_dashboard(options.video, options.port, options.output)
        else:
            files = run(options.video, options.seconds, options.output)
    except DemoError as error:
        print(f'demo: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    for path in files:
        print(path)
    return 0


def _seconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 86400:
        raise argparse.ArgumentTypeError('must be 1 to 86400')
    return value


if __name__ == '__main__':
    sys.exit(main())
