"""A node as a process of its own, and the robot around it in the test's process, over real DDS."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import rclpy
from process_tree import children
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from fer_ros.fastdds import profile_variable
from fer_ros.nodes.image_conversion import to_message
from fer_ros.results.faces import FacesFrame, decode

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180.0
"""Seconds; a test waits for what must happen, and fails only long after it should have."""
GRACE = 60.0
"""Seconds that a program has to end after SIGINT, where no test waits for its end."""
AGAIN = 3.0
"""Seconds without an answer after which an image or a request is sent again: DDS may have lost it."""

os.environ.setdefault(profile_variable(), str(ROOT / 'config' / 'fastdds.xml'))


class Program:
    """fer_node, with parameters as keywords; ends with the `with` block.

    Args:
        log: file of its output.
        arguments: of ROS.
        module: another program.
        first: Python code that it runs before it begins.
        folder: its working directory.
        parameters: of the node.
    """

    def __init__(self, log: Path, *arguments: str, module: str = 'fer_ros.nodes.fer_node', first: str = '',
                 folder: Path = ROOT, **parameters):
        self._log = log
        given = [f'{name}:={str(value).lower() if isinstance(value, bool) else value}'
                 for name, value in parameters.items()]
        start = ['-m', module] if not first else ['-c', f'{first}; from {module} import main; main()']
        command = [sys.executable, *start, '--ros-args', *(part for g in given for part in ('-p', g)), *arguments]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get('PYTHONPATH'))))
        environment = None if folder == ROOT else {**os.environ, 'PYTHONPATH': path}
        with log.open('w') as file:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=file,
                                            stderr=subprocess.STDOUT)

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

    @property
    def open_files(self) -> list[str]:
        """What its file descriptors are of, but for those that are closed meanwhile."""
        links = []
        for link in Path(f'/proc/{self.process.pid}/fd').iterdir():
            with suppress(FileNotFoundError):
                links.append(os.readlink(link))
        return links

    @property
    def children(self) -> list[int]:
        """Processes that it has started."""
        return children(self.process.pid)

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
            last = max(last + 1 / rate, time.monotonic())  # what was missed while nothing ran is not made up for
            self.spin(max(last - time.monotonic(), 0.005))

    def ask(self, camera, message: Image, faces: list) -> FacesFrame:
        """What the node finds in `message`, whose stamp no other has; `faces` is what `listen` returns of ~/faces."""
        wanted = stamp_of(message)
        faces.clear()
        end = time.monotonic() + PATIENCE
        while not (found := [frame for frame in (decode(m.data) for m in faces) if frame.stamp_ns == wanted]):
            assert time.monotonic() < end, 'no answer'
            camera.publish(message)
            self.spin(AGAIN, until=lambda: any(decode(m.data).stamp_ns == wanted for m in faces))
        return found[-1]

    @property
    def now(self) -> int:
        """Nanoseconds, as in the stamps of messages."""
        return self.node.get_clock().now().nanoseconds

    def header(self) -> Header:
        """Of an image taken now."""
        return Header(frame_id='camera', stamp=self.node.get_clock().now().to_msg())

    def spin(self, seconds: float, until=lambda: False) -> None:
        """Receive messages for so long, at least one that is there, or until a condition holds."""
        end = time.monotonic() + seconds
        left = max(seconds, 0.0)
        while not until():
            self._executor.spin_once(timeout_sec=left)
            left = end - time.monotonic()
            if left <= 0:
                return

    def meet(self, node: str) -> None:
        """Wait until a node knows all publishers, subscriptions and clients that this robot has.

        Each side of DDS finds the other at its own time: what is sent to a node before it knows the sender is lost,
        and so is the answer to a client that it does not know. Endpoints are told in the order in which they were
        created, so that it knows all when it answers one created last.
        """
        client = self.node.create_client(GetParameters, f'{node}/get_parameters')
        self.wait(client.service_is_ready, f'for {node}')
        end = time.monotonic() + PATIENCE
        answers = []
        while not any(answer.done() for answer in answers):
            assert time.monotonic() < end, f'{node} does not answer'
            answers.append(client.call_async(GetParameters.Request()))
            self.spin(AGAIN, until=answers[-1].done)
        self.node.destroy_client(client)

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
            self.wait(self._clients[name].service_is_ready, f'for {name}')
            self.meet(name.rpartition('/')[0])
        client = self._clients[name]
        self.wait(client.service_is_ready, f'for {name}')
        return client.call_async(request or service_type.Request())

    def call(self, service_type: type, name: str, request=None):
        """A service's answer."""
        future = self.start_call(service_type, name, request)
        self.wait(future.done, f'for the answer of {name}')
        return future.result()


def stamp_of(message) -> int:
    """Nanoseconds."""
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def stamped(image: np.ndarray, stamp_ns: int, frame_id: str = 'camera') -> Image:
    """An image taken at a time that the test chooses, so that the time that passes between two does not depend on how
    fast anything runs."""
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return to_message(image, header)
