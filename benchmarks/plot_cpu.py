"""Cost of valence_plot: CPU of the node at 30 messages/s, by number of faces, length of the axis and redraw rate.

    python -m benchmarks.plot_cpu --json plot_cpu.json

The node is a separate process that receives messages over DDS; its plot (960×400) is subscribed to. The time axis is
filled beforehand. CPU is the time counted by the kernel for the process: 100 % is one core. Lost frames are those
missing in the CSV of ~/save.
"""

import argparse
import csv
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rclpy
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger
from tqdm import tqdm

from fer_ros.fastdds import profile_variable
from fer_ros.results.faces import FaceEmotion, FacesFrame, encode

ROOT = Path(__file__).resolve().parents[1]
RATE = 30.0
CASES = [  # faces, seconds, redraws per second
    (1, 30, 10), (4, 30, 10), (8, 30, 10), (16, 30, 10), (4, 120, 10), (4, 600, 10), (4, 30, 1), (4, 30, 30)]


class Feed:
    """Publishes what fer_node would, and receives the plot."""

    def __init__(self):
        self.node = rclpy.create_node('feed')
        self._publisher = self.node.create_publisher(String, 'fer/faces', 100)
        self.pictures = 0
        self.node.create_subscription(Image, 'valence_plot/plot', self._on_plot, 1)
        self.save = self.node.create_client(Trigger, 'valence_plot/save')

    def _on_plot(self, _) -> None:
        self.pictures += 1

    def connect(self) -> None:
        while not (self._publisher.get_subscription_count() and self.save.service_is_ready()):
            rclpy.spin_once(self.node, timeout_sec=0.1)

    def send(self, t: float, stamp_ns: int, faces: int) -> None:
        noise = random.Random(round(t * 1000))
        self._publisher.publish(String(data=encode(FacesFrame(stamp_ns, 'camera', 640, 480, tuple(
            FaceEmotion(f'f{k:03d}', (100.0, 100.0, 80.0, 80.0), (0, 0, 0, 1, 0, 0, 0), 'happy', 0.9, valence,
                        max(-1.0, min(1.0, valence + noise.gauss(0, 0.15))))
            for k, valence in enumerate(0.8 * math.sin(t / (3 + j) + j) for j in range(faces))), None))))


def measure(faces: int, seconds: float, rate: float, measured: float) -> dict:
    """CPU and losses of one case."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, '-m', 'fer_ros.nodes.valence_plot', '--ros-args', '--log-level', 'error']
        for name, value in (('window', 'false'), ('seconds', float(seconds)), ('rate', float(rate))):
            command += ['-p', f'{name}:={value}']
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, 'PYTHONPATH': str(ROOT)})
        try:
            feed = Feed()
            feed.connect()
            fill = round(seconds * RATE)
            start_ns = time.time_ns() - round(seconds * 1e9)
            for i in range(fill):
                feed.send(i / RATE, start_ns + round(i / RATE * 1e9), faces)
                if i % 20 == 19:  # no faster than it is taken in
                    rclpy.spin_once(feed.node, timeout_sec=0.02)
            _spin(feed, 2.0)
            cpu, begin, pictures = _cpu(process.pid), time.monotonic(), feed.pictures
            sent = round(measured * RATE)
            for i in range(sent):
                t = (fill + i) / RATE
                feed.send(t, start_ns + round((seconds + 2 + i / RATE) * 1e9), faces)
                _spin(feed, max(0.0, begin + (i + 1) / RATE - time.monotonic()))
            wall = time.monotonic() - begin
            cpu, pictures = _cpu(process.pid) - cpu, feed.pictures - pictures
            future = feed.save.call_async(Trigger.Request())
            rclpy.spin_until_future_complete(feed.node, future, timeout_sec=60)
            first = start_ns * 1e-9 + seconds + 1
            got = {row['time_s'] for path in Path(folder).glob('*.csv') for row in csv.DictReader(path.open())}
            got = sum(float(time_s) > first for time_s in got)
            status = Path(f'/proc/{process.pid}/status').read_text()
            memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith('VmRSS')) / 1024
            feed.node.destroy_node()
            return {'faces': faces, 'seconds': seconds, 'rate': rate, 'cpu_percent': round(100 * cpu / wall, 1),
                    'pictures_per_s': round(pictures / wall, 1), 'messages_per_s': round(sent / wall, 1),
                    'frames_lost': min(sent, round(seconds * RATE)) - got, 'memory_mb': round(memory)}
        finally:
            process.terminate()
            process.wait(30)


def _spin(feed: Feed, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        rclpy.spin_once(feed.node, timeout_sec=left)


def _cpu(pid: int) -> float:
    """Seconds of user and kernel time."""
    fields = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--seconds', type=float, default=15.0, help='measured for so long (default: %(default)s)')
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ['ROS_DOMAIN_ID'] = str(20 + os.getpid() % 80)
    os.environ.setdefault(profile_variable(), str(ROOT / 'config' / 'fastdds.xml'))
    rclpy.init()
    results = [measure(*case, options.seconds) for case in tqdm(CASES)]
    rclpy.shutdown()
    print('| faces | axis | redraws/s | CPU of one core | memory | frames lost |')
    print('| --- | --- | --- | --- | --- | --- |')
    for r in results:
        print(f'| {r["faces"]} | {r["seconds"]:g} s | {r["rate"]:g} (got {r["pictures_per_s"]:g}) | '
              f'{r["cpu_percent"]:g} % | {r["memory_mb"]} MB | {r["frames_lost"]} |')
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + '\n')


if __name__ == '__main__':
    main()
