"""The dashboard as a process of its own, and what the node `fer` would tell it, over real DDS."""

import re
import threading
import time
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from harness import PATIENCE, Program
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger

from fer_ros.diagnostic_keys import recent
from fer_ros.emotions import EMOTIONS, valence
from fer_ros.nodes.image_conversion import to_message
from fer_ros.results.faces import FaceEmotion, FacesFrame, encode

URL = re.compile(r'the page is at (http://\S+)')


class Dashboard(Program):
    """The node `dashboard` on a free port, with parameters as keywords; ends with the `with` block."""

    def __init__(self, log: Path, *arguments: str, **parameters):
        parameters.setdefault('port', 0)
        parameters.setdefault('recordings_dir', log.parent / 'recordings')
        super().__init__(log, *arguments, module='fer_ros.nodes.dashboard', **parameters)

    @property
    def url(self) -> str:
        """Where the page is, once it is served."""
        end = time.monotonic() + PATIENCE
        while (found := URL.search(self.log)) is None:
            assert self.process.poll() is None and time.monotonic() < end, self.log
            time.sleep(0.05)
        return found[1]


def face(face_id: str, happy: float, raw_happy: float | None = None, box=(100.0, 80.0, 120.0, 120.0)) -> FaceEmotion:
    """A face that is happy with this probability and else sad."""
    def probabilities(p: float) -> tuple[float, ...]:
        return tuple({'happy': p, 'sad': 1 - p}.get(emotion, 0.0) for emotion in EMOTIONS)
    smoothed = probabilities(happy)
    raw = smoothed if raw_happy is None else probabilities(raw_happy)
    return FaceEmotion(face_id, box, smoothed, 'happy' if happy >= 0.5 else 'sad', max(happy, 1 - happy),
                       float(valence(smoothed)), float(valence(raw)))


class Fer:
    """The node `fer` as far as the dashboard knows it, in a thread: shows `faces` until told otherwise.

    Args:
        rate: results per second.
    """

    def __init__(self, rate: float = 15.0):
        self.faces: tuple[FaceEmotion, ...] = ()
        self.primary = True
        """Whether the first face is the primary one; else there is none."""
        self.silent = False
        """Publish nothing but diagnostics."""
        self.status = DiagnosticStatus(name='fer: faces', values=[
            KeyValue(key=k, value=v) for k, v in (('state', 'active'), ('device', 'cpu'), (
                'image topic', '/camera/image_raw'), ('publishers', '0'), (recent('dropped'), '4'))])
        self.calls: list[str] = []
        self.sent = 0
        """Results so far."""
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = Node('fer', context=self._context)
        self._faces = self.node.create_publisher(String, '~/faces', 10)
        self._annotated = self.node.create_publisher(
            Image, '~/annotated', QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE))
        self._diagnostics = self.node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.node.create_service(Trigger, '~/calibrate_neutral', self._on_calibrate)
        self.node.create_service(Trigger, '~/reset_calibration', self._on_reset)
        self.node.create_timer(1 / rate, self._publish)
        self.node.create_timer(0.5, lambda: self._diagnostics.publish(DiagnosticArray(status=[self.status])))
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def _spin(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def _publish(self) -> None:
        if self.silent:
            return
        stamp = self.node.get_clock().now()
        faces = self.faces
        self._faces.publish(String(data=encode(FacesFrame(
            stamp.nanoseconds, 'camera', 640, 480, faces, faces[0].face_id if faces and self.primary else None))))
        if self._annotated.get_subscription_count():
            picture = np.full((480, 640, 3), self.sent % 200, np.uint8)
            self._annotated.publish(to_message(picture, Header(stamp=stamp.to_msg(), frame_id='camera')))
        self.sent += 1

    def _on_calibrate(self, request, response):
        self.calls.append('calibrate')
        response.success, response.message = True, 'face fa: neutral from 30 frames'
        return response

    def _on_reset(self, request, response):
        self.calls.append('reset')
        response.success, response.message = False, 'the node is not active'
        return response

    @property
    def lookers(self) -> int:
        """Who subscribes to the pictures."""
        return self._annotated.get_subscription_count()

    def wait(self, condition, what: str = '') -> None:
        """Until `condition` holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f'waited in vain {what}'
            time.sleep(0.05)

    def close(self) -> None:
        """Leave the graph."""
        self._ended.set()
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def __enter__(self) -> 'Fer':
        return self

    def __exit__(self, *exception) -> None:
        self.close()
