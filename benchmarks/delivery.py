"""How many camera frames are delivered between two processes, with and without config/fastdds.xml.

    python -m benchmarks.delivery --seconds 10 --json delivery.json

A sender publishes numbered bgr8 images of noise in real time, keep last 1 as video_source does. The receiver queues one
second of images, so that only delivery counts and not its speed. Counting starts after discovery. Latency is from stamp
to callback.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tqdm import tqdm

from fer_ros.fastdds import profile_variable

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / 'config' / 'fastdds.xml'
SIZES = ((640, 480), (1920, 1080))
RATE = 30.0
"""Frames per second."""
TOPIC = 'delivery/image'
PATIENCE = 60.0
"""Seconds for the processes to find each other."""


def send(width: int, height: int, reliable: bool, frames: int) -> None:
    """In a process of its own: publish `frames` images, their number in frame_id; −1 until the receiver answers."""
    import numpy as np
    import rclpy
    from sensor_msgs.msg import Image
    from std_msgs.msg import Empty, Header

    from fer_ros.nodes import qos
    from fer_ros.nodes.image_conversion import to_message

    rclpy.init()
    node = rclpy.create_node('sender')
    publisher = node.create_publisher(Image, TOPIC, qos.image(reliable))
    ready = []
    node.create_subscription(Empty, 'delivery/ready', ready.append, qos.result())
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    due, number, end = time.monotonic(), -1, time.monotonic() + PATIENCE
    while number < frames and time.monotonic() < end + frames / RATE:
        header = Header(frame_id=str(number), stamp=node.get_clock().now().to_msg())
        publisher.publish(to_message(picture, header))
        number += bool(ready)
        due += 1 / RATE
        while (left := due - time.monotonic()) > 0:
            rclpy.spin_once(node, timeout_sec=left)
    time.sleep(1)  # what is still on its way
    rclpy.shutdown()


def receive(reliable: bool, frames: int) -> dict:
    """In a process of its own: count the images that arrive until the last one, or until nothing comes any more."""
    import rclpy
    from sensor_msgs.msg import Image
    from std_msgs.msg import Empty

    from fer_ros.nodes import qos

    rclpy.init()
    node = rclpy.create_node('receiver')
    latencies: dict[int, float] = {}

    def on_image(message: Image) -> None:
        stamp = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
        latencies[int(message.header.frame_id)] = (node.get_clock().now().nanoseconds - stamp) * 1e-6

    profile = qos.image(reliable)
    profile.depth = round(RATE)
    node.create_subscription(Image, TOPIC, on_image, profile)
    ready = node.create_publisher(Empty, 'delivery/ready', qos.result())
    end = time.monotonic() + PATIENCE
    # Without the profile it can take long until any image comes, so what is waited for is that both are known.
    while node.count_publishers(TOPIC) == 0 or ready.get_subscription_count() == 0:
        if time.monotonic() > end:
            raise SystemExit('the sender was not found')
        rclpy.spin_once(node, timeout_sec=0.1)
    _spin(rclpy, node, 2.0)
    ready.publish(Empty())
    _spin(rclpy, node, frames / RATE + 3.0, lambda: frames - 1 in latencies)
    rclpy.shutdown()
    arrived = [latency for number, latency in latencies.items() if 0 <= number < frames]
    return {'sent': frames, 'arrived': len(arrived), 'share': len(arrived) / frames,
            'latency_median_ms': statistics.median(arrived) if arrived else None,
            'latency_most_ms': max(arrived, default=None)}


def _spin(rclpy, node, seconds: float, until=lambda: False) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not until():
        rclpy.spin_once(node, timeout_sec=left)


def measure(width: int, height: int, reliable: bool, profile: bool, frames: int) -> dict:
    """One row of the table."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(('FASTRTPS', 'FASTDDS'))}
    environment.update(ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST', ROS_DOMAIN_ID=str(20 + os.getpid() % 80))
    if profile:
        environment[profile_variable()] = str(PROFILE)
    case = [str(width), str(height), str(int(reliable)), str(frames)]
    command = [sys.executable, '-m', 'benchmarks.delivery']
    with subprocess.Popen([*command, '--send', *case], cwd=ROOT, env=environment) as sender:
        try:
            receiver = subprocess.run([*command, '--receive', *case], cwd=ROOT, env=environment, check=True, text=True,
                                      stdout=subprocess.PIPE, timeout=2 * PATIENCE + frames / RATE)
        except BaseException:
            sender.kill()
            raise
    return {'width': width, 'height': height, 'reliability': 'reliable' if reliable else 'best effort',
            'profile': profile, **json.loads(receiver.stdout)}


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=10.0, help='of sending per case (default: 10)')
    parser.add_argument('--json', type=Path, help='write the figures here')
    for role in ('--send', '--receive'):
        parser.add_argument(role, nargs=4, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        width, height, reliable, frames = options.send
        send(width, height, bool(reliable), frames)
        return 0
    if options.receive:
        print(json.dumps(receive(bool(options.receive[2]), options.receive[3])))
        return 0
    cases = list(itertools.product(SIZES, (True, False), (False, True)))
    rows = [measure(*size, reliable, profile, round(options.seconds * RATE))
            for size, profile, reliable in tqdm(cases, unit='case')]
    print('| image | QoS | config/fastdds.xml | received | latency median / max |\n| --- | --- | --- | --- | --- |')
    for row in rows:
        median, most = (f'{row[f"latency_{name}_ms"]:.1f}' if row['arrived'] else '–' for name in ('median', 'most'))
        print(f'| {row["width"]}×{row["height"]} | {row["reliability"]} | {"yes" if row["profile"] else "no"} | '
              f'{row["arrived"]} of {row["sent"]} ({100 * row["share"]:.1f} %) | {median} / {most} ms |')
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
