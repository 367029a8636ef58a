"""Latency from the stamp of an image to the receipt of its result: camera, fer_node and receiver over DDS.

    python -m benchmarks.latency --json latency.json
    python -m benchmarks.latency --flat 5 --json flat.json

The camera publishes images drawn beforehand in real time, keep last 1, and stamps each immediately before. Latency ends
when ``fer/faces`` is received. Before that, the pipeline alone processes the same images at the same frame rate in a
separate process: the difference is the overhead of ROS. Counting starts 2 s after the first image.

Maximum rate: the camera sends the next image when the result of the last but one arrives, so that the node always has
work and no image is dropped. ``--flat`` is the opposite: a camera twice as fast as the node, to see whether latency
grows.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.frames import GRIDS, frames
from benchmarks.machine import machine
from fer_ros.atomic_files import write_file
from fer_ros.msfernet.cli import run as run_command
from fer_ros.results.faces import decode
from fer_ros.tools.demo import DemoError, Processes, environment

ROOT = Path(__file__).resolve().parents[1]
SIZES = ((640, 480), (1280, 720), (1920, 1080))
RATES = (15.0, 30.0, 60.0, 0.0)
"""Frames per second; 0: the maximum."""
CROWDS = ((640, 480, 30.0, 4), (640, 480, 30.0, 8))
"""Width, height, rate and faces of the cases with several faces."""
WARM_UP = 2.0
"""Seconds of images that are not counted, at the start of each case."""
PATIENCE = 180.0
"""Seconds for the processes to start and to find each other."""
SETTLE = 2.5
"""Seconds after which all results have come and the node has published its counters again (each second)."""


def camera(width: int, height: int, faces: int, rate: float, seconds: float) -> dict:
    """In a process of its own: publish for `seconds`; frame_id is the number of a counted image, else −1.

    Raises:
        ValueError: no one subscribes.
    """
    import rclpy
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header, String

    from fer_ros.nodes import qos
    from fer_ros.nodes.image_conversion import to_message

    rclpy.init()
    node = rclpy.create_node('camera')
    messages = [to_message(picture, Header()) for picture in frames(width, height, faces)]
    publisher = node.create_publisher(Image, 'image', qos.image(reliable=False))
    results = []
    if not rate:
        node.create_subscription(String, 'fer/faces', results.append, qos.result(), raw=True)
    end = time.monotonic() + PATIENCE
    while not publisher.get_subscription_count():
        if time.monotonic() > end:
            raise ValueError('fer_node was not found')
        time.sleep(0.05)
    time.sleep(0.5)  # the other side may not know of this one yet
    sent = counted = 0
    start = due = time.monotonic()
    while (elapsed := time.monotonic() - start) < WARM_UP + seconds:
        counts = elapsed >= WARM_UP
        message = messages[sent % len(messages)]
        message.header = Header(frame_id=str(counted if counts else -1), stamp=node.get_clock().now().to_msg())
        publisher.publish(message)
        sent, counted = sent + 1, counted + counts
        if rate:
            due += 1 / rate
            time.sleep(max(0.0, due - time.monotonic()))
        else:
            patience = time.monotonic() + 0.5  # for one that got lost
            while sent - len(results) >= 2 and time.monotonic() < patience:
                rclpy.spin_once(node, timeout_sec=0.5)
            if sent - len(results) >= 2:
                results.extend([None] * (sent - len(results) - 1))
    elapsed = time.monotonic() - start - WARM_UP
    time.sleep(0.5)
    node.destroy_node()
    rclpy.shutdown()
    return {'sent': sent, 'counted': counted, 'seconds': elapsed}


def bare(width: int, height: int, faces: int, rate: float, seconds: float, options: list[str]) -> dict:
    """In a process of its own: the pipeline alone on the same pictures at the same pace."""
    from fer_ros.perception.pipeline import FacePipeline, PipelineSettings

    settings = PipelineSettings(**{name: type(getattr(PipelineSettings(), name))(value)
                                   for name, _, value in (option.partition('=') for option in options)})
    pictures = frames(width, height, faces)
    times, found, cpu, first = [], [], 0.0, 0
    with FacePipeline(settings) as pipeline:
        start = due = time.monotonic()
        for number in range(10**9):
            begin = time.perf_counter()
            if time.monotonic() - start < WARM_UP:
                first, cpu = number + 1, time.process_time()
            found.append(len(pipeline.process(pictures[number % len(pictures)], time.monotonic()).faces))
            times.append(time.perf_counter() - begin)
            if time.monotonic() - start > WARM_UP + seconds:
                break
            if rate:
                due += 1 / rate
                time.sleep(max(0.0, due - time.monotonic()))
        elapsed = time.monotonic() - start - WARM_UP
        cpu = time.process_time() - cpu
    counted = times[first:] or times[-1:]
    return {'seconds': counted, 'faces': float(np.median(found)), 'cpu_s_per_frame': cpu / len(counted),
            'fps': len(counted) / elapsed}


class Receiver:
    """Subscribes to the results and to what the node counts."""

    def __init__(self):
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from std_msgs.msg import String

        from fer_ros.nodes import qos

        rclpy.init()
        self.node = rclpy.create_node('receiver')
        self.results: list[tuple[float, int, float, int]] = []
        """Time of receipt (monotonic), number of the image, latency in seconds, and faces."""
        self.counters: dict[str, int] = {}
        self.counted_at = 0.0
        self._values: dict[str, str] = {}
        self.node.create_subscription(String, 'fer/faces', self._on_faces, qos.result())
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.result())

    def _on_faces(self, message) -> None:
        now = self.node.get_clock().now().nanoseconds
        frame = decode(message.data)
        self.results.append((time.monotonic(), int(frame.frame_id), (now - frame.stamp_ns) * 1e-9, len(frame.faces)))

    def _on_diagnostics(self, message) -> None:
        for status in message.status:
            if status.name == 'fer: faces':
                self._values = {value.key: value.value for value in status.values}
                self.counters = {key: int(self._values.get(f'{key} since activation') or 0)
                                 for key in ('received', 'processed', 'dropped')}
                self.counted_at = time.monotonic()

    @property
    def runtime(self) -> str:
        """What runs the network."""
        return self._values.get('runtime', '')

    def spin(self, seconds: float, until=lambda: False) -> None:
        import rclpy
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not until():
            rclpy.spin_once(self.node, timeout_sec=min(left, 0.2))

    def close(self) -> None:
        import rclpy
        self.node.destroy_node()
        rclpy.shutdown()


class Bench:
    """A running node and what is needed to measure it, for the time of a `with` block.

    Args:
        options: parameters of the node, NAME=VALUE.

    Raises:
        DemoError: on entering, the node does not start.
    """

    def __init__(self, options: list[str]):
        self.options = options
        self._folder = tempfile.TemporaryDirectory()
        self._environment = environment()
        os.environ.update(self._environment)
        self._processes = Processes(Path(self._folder.name), self._environment)
        self._parameters = [part for option in options for part in ('-p', option.replace('=', ':=', 1))]

    def __enter__(self) -> 'Bench':
        self._processes.start('fer_node', '--ros-args', '--log-level', 'warn', *self._parameters)
        self.receiver = Receiver()
        try:
            self.receiver.spin(PATIENCE, lambda: self.receiver.runtime or self._processes.check())
            if not self.receiver.runtime:
                raise DemoError(f'fer_node did not start within {PATIENCE:g} s')
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception) -> None:
        try:
            self.receiver.close()
        finally:  # a node that is left would answer in the next measurement, too
            self._processes.end()
            self._folder.cleanup()

    @property
    def node_pid(self) -> int:
        """Process id of the node."""
        return self._processes.pid('fer_node')

    def bare(self, width: int, height: int, faces: int, rate: float, seconds: float) -> dict:
        return json.loads(subprocess.run(self._command('--bare', width, height, faces, rate, seconds), cwd=ROOT,
                                         env=self._environment, stdout=subprocess.PIPE, text=True, check=True).stdout)

    def send(self, width: int, height: int, faces: int, rate: float, seconds: float, each_second=lambda: None) -> dict:
        """Let a camera run; what it says, and what the node counted and used meanwhile.

        Raises:
            DemoError: the node or the camera has ended.
        """
        receiver = self.receiver
        self._count()
        before, pid = dict(receiver.counters), self.node_pid
        receiver.results.clear()
        with subprocess.Popen(self._command('--camera', width, height, faces, rate, seconds), cwd=ROOT,
                              env=self._environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                receiver.spin(PATIENCE, lambda: any(r[1] >= 0 for r in receiver.results) or process.poll() is not None)
                cpu, first = cpu_seconds(pid), len(receiver.results)
                while process.poll() is None:
                    self._processes.check()
                    receiver.spin(1.0, lambda: process.poll() is not None)
                    each_second()
                cpu, last = cpu_seconds(pid) - cpu, len(receiver.results)
                said = process.stdout.read()
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise DemoError('the camera has ended')
        self._count()
        delta = {key: receiver.counters[key] - before[key] for key in before}
        return {**json.loads(said), **delta, 'cpu_s_per_frame': cpu / max(1, last - first)}

    def _count(self) -> None:
        """Wait until the node has said what it counted after all that was sent by now."""
        now = time.monotonic() + SETTLE / 2
        self.receiver.spin(30.0, lambda: self.receiver.counted_at > now)

    def _command(self, role: str, *case: float) -> list[str]:
        return [sys.executable, '-m', 'benchmarks.latency', role, *map(str, case), '--set', *self.options]


def cpu_seconds(pid: int) -> float:
    """User and kernel time of a process."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def percentiles(seconds: list[float], prefix: str = '') -> dict[str, float]:
    """p50, p95 and p99 in milliseconds."""
    values = np.percentile(seconds, (50, 95, 99)) * 1e3
    return {f'{prefix}{name}_ms': round(float(value), 2) for name, value in zip(('p50', 'p95', 'p99'), values,
                                                                                strict=True)}


def measure(bench: Bench, width: int, height: int, rate: float, faces: int, seconds: float) -> dict:
    """One case, a row of the table.

    Raises:
        DemoError: no result came.
    """
    if (width, height, rate, faces) == (640, 480, 30.0, 1):
        seconds *= 3  # the goals are about this one, and p99 needs many frames
    alone = bench.bare(width, height, faces, rate, seconds / 2)
    sent = bench.send(width, height, faces, rate, seconds)
    results = [r for r in bench.receiver.results if r[1] >= 0]
    if not results:
        raise DemoError(f'no result at {width}×{height} and {rate:g} frames/s')
    row = {'width': width, 'height': height, 'rate': rate, 'faces': faces,
           'faces_found': float(np.median([r[3] for r in results])),
           **percentiles([r[2] for r in results]), **percentiles(alone['seconds'], 'bare_'),
           'sent': sent['sent'], 'processed': sent['processed'], 'dropped': sent['dropped'],
           'lost': max(0, sent['sent'] - sent['received']),
           'processed_fps': round(len(results) / sent['seconds'], 1), 'bare_fps': round(alone['fps'], 1),
           'cpu_ms_per_frame': round(1e3 * sent['cpu_s_per_frame'], 2),
           'bare_cpu_ms_per_frame': round(1e3 * alone['cpu_s_per_frame'], 2)}
    row['overhead_ratio'] = round(row['p50_ms'] / row['bare_p50_ms'], 3)
    row['tail_ratio'] = round(row['p99_ms'] / row['p50_ms'], 3)
    return row


def flat(bench: Bench, minutes: float) -> dict:
    """Latency over time with a camera twice as fast as the node at 640×480."""
    capacity = bench.send(640, 480, 1, 0.0, 5.0)
    capacity = sum(r[1] >= 0 for r in bench.receiver.results) / capacity['seconds']
    rate = 2 * capacity
    with tqdm(total=round(60 * minutes), unit='s', desc='flat') as bar:
        sent = bench.send(640, 480, 1, rate, 60 * minutes, lambda: bar.update(min(1, bar.total - bar.n)))
    results = [r for r in bench.receiver.results if r[1] >= 0]
    start = results[0][0]
    at = np.array([r[0] - start for r in results])
    latency = 1e3 * np.array([r[2] for r in results])
    series = [{'second': second, 'p50_ms': round(float(np.median(part)), 2), 'most_ms': round(float(part.max()), 2)}
              for second in range(int(at[-1])) if len(part := latency[(at >= second) & (at < second + 1)])]
    length = min(60.0, at[-1] / 3)
    first, last = np.median(latency[at < length]), np.median(latency[at > at[-1] - length])
    return {'minutes': minutes, 'node_fps_alone': round(capacity, 1), 'camera_fps': round(sent['counted']
            / sent['seconds'], 1), 'processed_fps': round(len(results) / sent['seconds'], 1),
            **percentiles(list(latency / 1e3)), 'first_p50_ms': round(float(first), 2),
            'last_p50_ms': round(float(last), 2), 'growth': round(float(last / first - 1), 4),
            'slope_ms_per_minute': round(60 * float(np.polyfit(at, latency, 1)[0]), 3),
            'sent': sent['sent'], 'processed': sent['processed'], 'dropped': sent['dropped'],
            'lost': max(0, sent['sent'] - sent['received']), 'series': series}


def table(rows: list[dict]) -> str:
    """Markdown, a row for each case."""
    lines = ['| image, faces | camera | p50 / p95 / p99 | pipeline alone p50 / p99 | ratio | processed | dropped '
             '| lost | CPU per frame (pipeline alone) |',
             '| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |']
    for r in rows:
        pace = f'{r["rate"]:g} frames/s' if r['rate'] else 'maximum'
        lines.append(
            f'| {r["width"]}×{r["height"]}, {r["faces"]} | {pace} | {r["p50_ms"]:.1f} / {r["p95_ms"]:.1f} / '
            f'{r["p99_ms"]:.1f} ms | {r["bare_p50_ms"]:.1f} / {r["bare_p99_ms"]:.1f} ms | {r["overhead_ratio"]:.2f} | '
            f'{r["processed_fps"]:.1f} frames/s | {r["dropped"]} | {r["lost"]} | {r["cpu_ms_per_frame"]:.1f} '
            f'({r["bare_cpu_ms_per_frame"]:.1f}) ms |')
    return '\n'.join(lines)


def _cases(options: argparse.Namespace) -> list[tuple]:
    if options.case:
        width, height, rate, faces = options.case
        return [(int(width), int(height), rate, int(faces))]
    if options.quick:
        return [(640, 480, 30.0, 1), (640, 480, 30.0, 8), (640, 480, 0.0, 1)]
    return [*((*size, rate, 1) for size in SIZES for rate in RATES), *CROWDS]


def _latency(options: argparse.Namespace) -> None:
    result = {'machine': machine(), 'settings': options.set}
    try:
        with Bench(options.set) as bench:
            result['runtime'] = bench.receiver.runtime
            if options.flat:
                result['flat'] = flat(bench, options.flat)
                print({key: value for key, value in result['flat'].items() if key != 'series'})
            else:
                result['cases'] = [measure(bench, *case, 3.0 if options.quick else options.seconds)
                                   for case in tqdm(_cases(options), desc='latency', unit='case')]
                print(table(result['cases']))
    except DemoError as error:
        raise ValueError(str(error)) from error
    if options.json:
        write_file(options.json, (json.dumps(result, indent=1) + '\n').encode())


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.latency', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=float, default=10.0, help='of counting per case (default: 10)')
    parser.add_argument('--flat', type=float, default=0.0, metavar='MINUTES',
                        help='instead: a camera twice as fast as the node, for so long')
    parser.add_argument('--case', type=float, nargs=4, metavar=('WIDTH', 'HEIGHT', 'RATE', 'FACES'),
                        help=f'only this one; faces: {", ".join(map(str, GRIDS))}')
    parser.add_argument('--quick', action='store_true', help='three cases of 3 s')
    parser.add_argument('--set', nargs='*', default=[], metavar='NAME=VALUE', help='parameters of fer_node')
    parser.add_argument('--json', type=Path, help='write the figures here')
    for role in ('--camera', '--bare'):
        parser.add_argument(role, nargs=5, type=float, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.camera or options.bare:
        width, height, faces, rate, seconds = options.camera or options.bare
        case = int(width), int(height), int(faces), rate, seconds
        print(json.dumps(camera(*case) if options.camera else bare(*case, options.set)))
        return 0
    return run_command('latency', lambda: _latency(options))


if __name__ == '__main__':
    sys.exit(main())
