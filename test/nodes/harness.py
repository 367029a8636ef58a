"""A node as a process of its own, and the robot around it in the test's process, over real DDS."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from fer_ros.fastdds import profile_variable
from fer_ros.nodes.image_conversion import to_message

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180.0
"""Seconds; a test waits for what must happen, and fails only long after it should have."""
GRACE = 10.0
"""Seconds that a program has to end after SIGINT."""

os.environ.setdefault(profile_variable(), str(ROOT / 'config' / 'fastdds.xml'))


class Program:
    """fer_node, with parameters as keywords; ends with the `with` block."""

    def __init__(self, log: Path, *arguments: str, module: str = 'fer_ros.nodes.fer_node', **parameters):
        self._log = log
        given = [f'{name}:={str(value).lower() if isinstance(value, bool) else value}'
                 for name, value in parameters.items()]
        command = [sys.executable, '-m', module, '--ros-args', *(part for g in given for part in ('-p', g)), *arguments]
        with log.open('w') as file:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def memory(self) -> float:
        """Resident, in MB."""
        return self._status('VmRSS')

    @property
    def peak_memory(self) -> float:
        """The most that was resident since `forget_peak`, in MB."""
        return self._status('VmHWM')

    def forget_peak(self) -> None:
        Path(f'/proc/{self.process.pid}/clear_refs').write_text('5')

    def _status(self, name: str) -> float:
        status = Path(f'/proc/{self.process.pid}/status').read_text()
        return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1]) / 1024

    def end(self, number: int = signal.SIGINT) -> int:
        """The exit code after a signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def __enter__(self) -> 'Program':
        return self

    def __exit__(self, *exception) -> None:
        if self.process.poll() is None:
            # Fast DDS of a reader may crash when a process is killed while it writes large messages.
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(GRACE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(PATIENCE)


class Robot:
    """Camera, subscribers and service clients."""

    def __init__(self):
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = Node('robot', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._clients = {}

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def listen(self, message_type: type, topic: str) -> list:
        """A list to which messages are added as they come."""
        received = []
        self.node.create_subscription(message_type, topic, received.append, 50)
        return received

    def camera(self, topic: str = 'image', *, reliable: bool = True):
        """A publisher of images."""
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        return self.node.create_publisher(Image, topic, QoSProfile(depth=1, reliability=reliability))

    def show(self, camera, image: np.ndarray, rate: float = 15.0, *, until=None, seconds: float = 0.0) -> None:
        """Publish `image`, or what it returns when called, until a condition holds or for some seconds."""
        start = last = time.monotonic()
        while not (until() if until else time.monotonic() - start >= seconds):
            assert time.monotonic() - start < PATIENCE, 'waited in vain'
            picture = image() if callable(image) else image
            camera.publish(to_message(picture, self.header()))
            last += 1 / rate
            self.spin(max(last - time.monotonic(), 0.0))

    def header(self) -> Header:
        """Of an image taken now."""
        return Header(frame_id='camera', stamp=self.node.get_clock().now().to_msg())

    def spin(self, seconds: float) -> None:
        """Receive messages for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def wait(self, condition, what: str = '') -> None:
        """Receive messages until `condition` holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f'waited in vain {what}'
            self._executor.spin_once(timeout_sec=0.1)

    def start_call(self, service_type: type, name: str, request=None):
        """The future answer of a service."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_type, name)
        client = self._clients[name]
        self.wait(client.service_is_ready, f'for {name}')
        return client.call_async(request or service_type.Request())

    def call(self, service_type: type, name: str, request=None):
        """A service's answer."""
        future = self.start_call(service_type, name, request)
        self.wait(future.done, f'for the answer of {name}')
        return future.result()
