"""Cost of each camera: CPU, memory and GPU memory of fer_node for 1, 2 and 4 cameras at 15 frames/s.

    python -m benchmarks.cameras --cameras 1 2 4 --seconds 20 --json cameras.json

Every camera is a video_source and a fer_node as separate processes over DDS, as in the launch file. CPU is the time
counted by the kernel for fer_node: 100 % is one core. The other figures are from /diagnostics.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from tqdm import tqdm

from fer_ros.fastdds import profile_variable

ROOT = Path(__file__).resolve().parents[1]
START_LIMIT = 180.0
"""Seconds for all nodes to work."""


class Cameras:
    """`count` cameras with their nodes; ends them with the `with` block."""

    def __init__(self, count: int, rate: float, device: str):
        self.names = [f'camera{i}' for i in range(count)]
        self.nodes, self._sources = [], []
        for name in self.names:
            self.nodes.append(_start('fer_node', name, '-p', f'device:={device}', '-r', 'image:=image_raw'))
            self._sources.append(_start('video_source', name, '-p', f'rate:={rate}'))

    def __enter__(self) -> 'Cameras':
        return self

    def __exit__(self, *exception) -> None:
        for process in [*self.nodes, *self._sources]:
            process.terminate()
        for process in [*self.nodes, *self._sources]:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _start(program: str, namespace: str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, '-m', f'fer_ros.nodes.{program}', '--ros-args', '-r', f'__ns:=/{namespace}']
    return subprocess.Popen([*command, '--log-level', 'error', *arguments], cwd=ROOT)


class Health:
    """The last diagnostics of each node."""

    def __init__(self, names: list[str]):
        self.values = {}
        self._names = {f'{name}/fer: faces': name for name in names}
        self._node = rclpy.create_node('benchmark')
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_message, 50)

    def _on_message(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name in self._names:
                self.values[self._names[status.name]] = {value.key: value.value for value in status.values}

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            rclpy.spin_once(self._node, timeout_sec=left)

    def close(self) -> None:
        self._node.destroy_node()


def measure(count: int, rate: float, seconds: float, device: str) -> dict:
    """One row of the table.

    Raises:
        RuntimeError: a node ended, or they did not all start in time.
    """
    with Cameras(count, rate, device) as cameras:
        health = Health(cameras.names)
        start = time.monotonic()
        # The second second of a node is the first that is not slowed by its start.
        while len(health.values) < count or any(float(v.get('processed rate [Hz]', 0)) < 1
                                                for v in health.values.values()):
            health.spin(0.5)
            if any(node.poll() is not None for node in cameras.nodes):
                raise RuntimeError('a fer_node has ended: see its message above')
            if time.monotonic() - start > START_LIMIT:
                raise RuntimeError(f'{count} nodes did not all start within {START_LIMIT:g} s')
        health.spin(3.0)
        before, began = [_cpu_seconds(node.pid) for node in cameras.nodes], time.monotonic()
        processed = [int(v['processed since activation']) for v in health.values.values()]
        latencies = []
        for _ in tqdm(range(round(seconds)), desc=f'{count} camera{"s" * (count > 1)}', unit='s'):
            health.spin(1.0)
            latencies += [float(v['latency median [s]']) for v in health.values.values() if v['latency median [s]']]
        elapsed = time.monotonic() - began
        cpu = [(_cpu_seconds(node.pid) - b) / elapsed for node, b in zip(cameras.nodes, before, strict=True)]
        done = [int(v['processed since activation']) - p
                for v, p in zip(health.values.values(), processed, strict=True)]
        row = {
            'cameras': count, 'device': next(iter(health.values.values()))['device'],
            'cpu_percent_per_camera': round(100 * statistics.mean(cpu), 1),
            'processed_per_second_per_camera': round(sum(done) / elapsed / count, 1),
            'latency_median_ms': round(1000 * statistics.median(latencies), 1) if latencies else None,
            'memory_mb_per_camera': round(statistics.mean(_memory(node.pid) for node in cameras.nodes)),
            'gpu_memory_mb_per_camera': _gpu_memory({node.pid for node in cameras.nodes}),
        }
        health.close()
    return row


def _cpu_seconds(pid: int) -> float:
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def _memory(pid: int) -> float:
    """Resident, in MB; pages that processes share count for each of them."""
    return int(Path(f'/proc/{pid}/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2**20


def _gpu_memory(pids: set[int]) -> float | None:
    """In MB on average; None where there is no GPU or none is used."""
    if not shutil.which('nvidia-smi'):
        return None
    listing = subprocess.run(['nvidia-smi', '--query-compute-apps=pid,used_memory', '--format=csv,noheader,nounits'],
                             capture_output=True, text=True, check=False).stdout
    used = [float(line.split(',')[1]) for line in listing.splitlines() if int(line.split(',')[0]) in pids]
    return round(statistics.mean(used)) if used else None


def main() -> int:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.cameras', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cameras', type=int, nargs='+', default=[1, 2, 4], help='numbers of cameras')
    parser.add_argument('--rate', type=float, default=15.0, help='frames per second of each (default 15)')
    parser.add_argument('--seconds', type=float, default=20.0, help='of measurement for each row (default 20)')
    parser.add_argument('--device', default='auto', help='as the parameter of fer_node')
    parser.add_argument('--json', type=Path, help='write the rows to this file')
    options = parser.parse_args()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ.setdefault('ROS_DOMAIN_ID', '77')
    os.environ.setdefault(profile_variable(), str(ROOT / 'config' / 'fastdds.xml'))
    rclpy.init()
    try:
        rows = [measure(count, options.rate, options.seconds, options.device) for count in options.cameras]
    except RuntimeError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    finally:
        rclpy.try_shutdown()
    print(' | '.join(rows[0]))
    for row in rows:
        print(' | '.join('' if value is None else str(value) for value in row.values()))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
