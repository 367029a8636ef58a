"""Soak test: memory, threads, file descriptors and latency over a long time, sampled every second.

    make soak MINUTES=30
    python -m benchmarks.soak --minutes 30 --json soak.json --docs docs/soak.md

video_source plays the built-in clip at 30 frames/s to fer_node, all of whose outputs are subscribed to, and
valence_plot draws its results: three processes over DDS. Latency is from the stamp of an image to the receipt of its
``fer/faces`` here. Ctrl-C ends the run early and still writes the results. ``--redraw soak.json`` writes figure and
text again.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks.machine import described, machine
from fer_ros.atomic_files import completed, write_file
from fer_ros.msfernet.model_card import fill
from fer_ros.results.faces import decode
from fer_ros.tools.demo import DemoError, Processes, environment

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / 'docs' / 'images' / 'soak.png'
RATE = 30.0
"""Frames per second."""
PROGRAMS = ('video_source', 'fer_node', 'valence_plot')
WARM_UP = 60.0
"""Seconds after the first result that are not judged, because buffers and the time axis of the plot fill up."""
SHORTEST = 60.0
"""Seconds after the warm-up without which there is no verdict."""
LIMIT = 0.02
"""Relative growth of resident memory up to which it counts as stable."""
START = 120.0
"""Seconds that the processes have to show the first result."""


class Listener:
    """Subscribes to everything that fer and valence_plot publish; keeps what a second's sample needs."""

    def __init__(self):
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions
        from sensor_msgs.msg import Image
        from std_msgs.msg import Float32, String

        from fer_ros.nodes import detections_output, qos

        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C is to end the sampling only
        self.node = rclpy.create_node('soak')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self.latencies: list[float] = []
        """Seconds, of the frames since the last sample."""
        self.dropped = 0
        """Frames dropped by the node."""
        self.node.create_subscription(String, 'fer/faces', self._on_faces, qos.result())
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.result())
        others = [(String, 'fer/emotion'), (Float32, 'fer/valence'), (Image, 'fer/annotated'),
                  (Image, 'valence_plot/plot')]
        if detections_output.available():
            others.append((detections_output.Detection2DArray, 'fer/detections'))
        for kind, topic in others:
            self.node.create_subscription(kind, topic, lambda _: None, qos.result(), raw=True)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def close(self) -> None:
        import rclpy
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown()

    def _on_faces(self, message) -> None:
        now = self.node.get_clock().now().nanoseconds
        self.latencies.append((now - decode(message.data).stamp_ns) * 1e-9)

    def _on_diagnostics(self, message) -> None:
        for status in message.status:
            if status.name == 'fer: faces':
                self.dropped = next((int(value.value) for value in status.values
                                     if value.key == 'dropped since activation'), self.dropped)


def process(pid: int) -> dict[str, float]:
    """Resident memory in MB, threads and open file descriptors, as the kernel counts them."""
    status = dict(line.split(':', 1) for line in Path(f'/proc/{pid}/status').read_text().splitlines())
    return {'memory_mb': int(status['VmRSS'].split()[0]) / 1024, 'threads': int(status['Threads']),
            'descriptors': len(os.listdir(f'/proc/{pid}/fd'))}


def soak(minutes: float) -> dict:
    """Run the processes and sample them.

    Returns:
        The record: machine, samples, and why it ended early where it did.

    Raises:
        DemoError: no result came in the first `START` seconds.
    """
    os.environ.update(environment())
    record = {'minutes': minutes, 'rate': RATE, 'ended_early': '', 'machine': machine(), 'dropped': 0,
              'seconds': [], 'latency_p50_ms': [], 'frames_per_s': [],
              'processes': {name: {key: [] for key in ('memory_mb', 'threads', 'descriptors')} for name in PROGRAMS}}
    with tempfile.TemporaryDirectory() as folder:
        processes = Processes(Path(folder) / 'logs', dict(os.environ))
        listener = None
        try:
            processes.start('fer_node', '--ros-args', '-r', 'image:=image_raw')
            processes.start('video_source', '--ros-args', '-p', f'rate:={RATE}')
            processes.start('valence_plot', '--ros-args', '-p', 'window:=false')
            listener = Listener()
            _wait_for_first(listener, processes)
            _sample(record, listener, processes)
        except KeyboardInterrupt:
            record['ended_early'] = 'interrupted'
        except DemoError as error:
            if not record['seconds']:
                raise
            record['ended_early'] = str(error)
        finally:
            if listener is not None:
                record['dropped'] = listener.dropped
                listener.close()
            processes.end()
    return record


def _wait_for_first(listener: Listener, processes: Processes) -> None:
    end = time.monotonic() + START
    while not listener.latencies:
        processes.check()
        if time.monotonic() > end:
            raise DemoError(f'no result within {START:g} s')
        listener.spin(0.2)


def _sample(record: dict, listener: Listener, processes: Processes) -> None:
    listener.latencies.clear()
    start = last = time.monotonic()
    for second in tqdm(range(1, round(60 * record['minutes']) + 1), unit='s', desc='soak'):
        listener.spin(max(0.0, start + second - time.monotonic()))
        processes.check()
        now = time.monotonic()
        values = {name: process(processes.pid(name)) for name in PROGRAMS}
        record['seconds'].append(round(now - start, 2))
        record['frames_per_s'].append(round(len(listener.latencies) / (now - last), 1))
        record['latency_p50_ms'].append(
            round(1000 * statistics.median(listener.latencies), 1) if listener.latencies else None)
        for name, sample in values.items():
            for key, value in sample.items():
                record['processes'][name][key].append(round(value, 1))
        listener.latencies.clear()
        last = now


def verdict(record: dict) -> dict:
    """Judge the stability of every process.

    The result contains the growth of memory from the minute after the warm-up to the last minute, as medians, and the
    range of threads and descriptors after the warm-up. `good` is None if the run was too short.
    """
    seconds = record['seconds']
    judged = [i for i, second in enumerate(seconds) if second > WARM_UP]
    if not judged or seconds[-1] - WARM_UP < SHORTEST:
        return {'good': None, 'processes': {}}
    window = min(60.0, (seconds[-1] - WARM_UP) / 2)
    first = [i for i in judged if seconds[i] <= WARM_UP + window]
    final = [i for i in judged if seconds[i] > seconds[-1] - window]
    result = {'good': not record['ended_early'] or record['ended_early'] == 'interrupted', 'processes': {}}
    for name, series in record['processes'].items():
        before, after = (statistics.median(series['memory_mb'][i] for i in part) for part in (first, final))
        row = {'memory_before_mb': before, 'memory_after_mb': after,
               'memory_most_mb': max(series['memory_mb'][i] for i in judged), 'growth': after / before - 1}
        for key in ('threads', 'descriptors'):
            values = [series[key][i] for i in judged]
            row[key] = [min(values), max(values)]
        row['good'] = row['growth'] < LIMIT and all(low == high for low, high in (row['threads'], row['descriptors']))
        result['good'] &= row['good']
        result['processes'][name] = row
    return result


def text(record: dict) -> str:
    """The result as Markdown."""
    judged = verdict(record)
    latencies = [value for value in record['latency_p50_ms'] if value is not None]
    lasted = record['seconds'][-1] / 60
    parts = [f'{lasted:.1f} minutes at {record["rate"]:g} frames/s of 640×480'
             + (f' of {record["minutes"]:g} requested ({record["ended_early"]})' if record['ended_early'] else '')
             + f', measured with `make soak MINUTES={record["minutes"]:g}` on: {described(record["machine"])}']
    if judged['good'] is None:
        parts.append(f'**No verdict**: less than {(WARM_UP + SHORTEST) / 60:g} minutes.')
    else:
        parts.append('**Stable.**' if judged['good'] else '**Not stable.**')
        rows = ['| process | memory in minute 2 | in the last minute | growth | maximum | threads | descriptors |',
                '| --- | --- | --- | --- | --- | --- | --- |']
        for name, row in judged['processes'].items():
            ranges = ['–'.join(f'{value:g}' for value in dict.fromkeys(row[key])) for key in ('threads', 'descriptors')]
            rows.append(f'| `{name}` | {row["memory_before_mb"]:.1f} MB | {row["memory_after_mb"]:.1f} MB | '
                        f'{100 * row["growth"]:+.2f} % | {row["memory_most_mb"]:.1f} MB | {" | ".join(ranges)} |')
        parts.append('\n'.join(rows))
    if latencies:
        quarters = [latencies[len(latencies) * k // 4:len(latencies) * (k + 1) // 4] for k in range(4)]
        parts.append(
            f'Latency, median over all seconds: {statistics.median(latencies):.1f} ms; in each quarter of the run: '
            f'{", ".join(f"{statistics.median(q):.1f}" for q in quarters if q)} ms. '
            f'The median rate of results was {statistics.median(record["frames_per_s"]):.1f} frames/s; '
            f'{record["dropped"]} of about {record["seconds"][-1] * record["rate"]:.0f} frames were dropped.')
    return '\n\n'.join(parts)


def draw(record: dict, path: Path) -> None:
    """A figure of all samples."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    minutes = [second / 60 for second in record['seconds']]
    figure, axes = pyplot.subplots(5, 1, figsize=(9, 10), sharex=True, layout='constrained')
    # The most dashed last, so that lines that coincide are all seen.
    styles = dict(zip(record['processes'], (('#0072b2', '-'), ('#d55e00', '--'), ('#009e73', ':')), strict=True))
    for axis, (key, label) in zip(axes, (('memory_mb', 'resident memory [MB]'), ('threads', 'threads'),
                                         ('descriptors', 'file descriptors')), strict=False):
        for name, series in record['processes'].items():
            colour, style = styles[name]
            axis.plot(minutes, series[key], color=colour, linestyle=style, linewidth=2, label=name)
        axis.set(ylabel=label)
        axis.set_ylim(0, 1.15 * max(max(series[key]) for series in record['processes'].values()))
        axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes[0].legend(loc='center right')
    nothing = float('nan')
    axes[3].plot(minutes, [nothing if v is None else v for v in record['latency_p50_ms']], color='0.2', linewidth=0.8)
    axes[3].set(ylabel='latency p50 [ms]')
    axes[4].plot(minutes, record['frames_per_s'], color='0.2', linewidth=0.8)
    axes[4].set(ylabel='frames/s', xlabel='minutes')
    for axis in axes[3:]:
        axis.set_ylim(bottom=0)
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.axvspan(0, min(WARM_UP / 60, minutes[-1]), color='0.92')
        axis.set_xlim(0, minutes[-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    with completed(path) as temporary:
        figure.savefig(temporary, dpi=100)
    pyplot.close(figure)


def write(record: dict, options: argparse.Namespace) -> None:
    """Write all requested outputs."""
    if options.json:
        write_file(options.json, (json.dumps(record | {'verdict': verdict(record)}) + '\n').encode())
    draw(record, options.picture)
    result = text(record)
    if options.docs:
        write_file(options.docs, fill(options.docs.read_text(encoding='utf-8'), 'soak', result).encode())
    print(result)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--minutes', type=float, default=30.0, help='duration (default: 30)')
    parser.add_argument('--json', type=Path, help='write samples and verdict here')
    parser.add_argument('--picture', type=Path, default=PICTURE, help='(default: docs/images/soak.png)')
    parser.add_argument('--docs', type=Path, help='Markdown file whose section about the soak test is filled')
    parser.add_argument('--redraw', type=Path, help='do not run: use the samples of this --json file')
    options = parser.parse_args()
    if not 0.1 <= options.minutes <= 7 * 24 * 60:
        parser.error('--minutes must be 0.1 to 10080')

    def interrupt(*_) -> None:
        raise KeyboardInterrupt
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        record = json.loads(options.redraw.read_text()) if options.redraw else soak(options.minutes)
    except DemoError as error:
        print(f'soak: {error}', file=sys.stderr)
        return 1
    if not record['seconds']:
        print('soak: nothing was measured', file=sys.stderr)
        return 1
    write(record, options)
    return 0


if __name__ == '__main__':
    sys.exit(main())
