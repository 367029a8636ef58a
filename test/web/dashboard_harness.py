"""The dashboard as a process of its own, and what the node `fer` would tell it, over real DDS."""

import json
import os
import re
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
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
    """The node `dashboard` on a free port, with parameters as keywords; ends with the `with` block.

    Args:
        patient: run `patient_dashboard` instead, which takes nobody for gone who is late by some seconds.
        path: a folder from which it, and the processes that it starts, import first.
    """

    def __init__(self, log: Path, *arguments: str, patient: bool = False, path: Path | None = None, **parameters):
        parameters.setdefault('port', 0)
        parameters.setdefault('recordings_dir', log.parent / 'recordings')
        module = 'patient_dashboard' if patient else 'fer_ros.nodes.dashboard'
        with pytest.MonkeyPatch.context() as patch:
            for folder in (str(Path(__file__).parent) if patient else None, path):
                if folder is not None:
                    patch.setenv('PYTHONPATH', str(folder), prepend=os.pathsep)
            super().__init__(log, *arguments, module=module, **parameters)

    @property
    def url(self) -> str:
        """Where the page is, once it is served."""
        end = time.monotonic() + PATIENCE
        while (found := URL.search(self.log)) is None:
            assert self.process.poll() is None and time.monotonic() < end, self.log
            time.sleep(0.05)
        return found[1]

    def state(self) -> dict:
        """What the tab Live is told."""
        with urllib.request.urlopen(f'{self.url}/live/state', timeout=PATIENCE) as answer:
            return json.load(answer)


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
        self.size = (640, 480)
        """Width and height of the image, as told with the results."""
        self.silent = False
        """Publish nothing but diagnostics, and what `publish` is called for."""
        self.status = DiagnosticStatus(name='fer: faces', values=[
            KeyValue(key=k, value=v) for k, v in (('state', 'active'), ('device', 'cpu'), (
                'image topic', '/camera/image_raw'), ('publishers', '0'), (recent('dropped'), '4'))])
        self.calls: list[str] = []
        self.sent = 0
        """Results so far."""
        self.stamps: list[int] = []
        """Of all results, in nanoseconds."""
        self._publishing = threading.Lock()
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = Node('fer', context=self._context)
        self._faces = self.node.create_publisher(String, '~/faces', 10)
        self._annotated = self.node.create_publisher(
            Image, '~/annotated', QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE))
        self._diagnostics = self.node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.node.create_service(Trigger, '~/calibrate_neutral', self._on_calibrate)
        self.node.create_service(Trigger, '~/reset_calibration', self._on_reset)
        self.node.create_timer(1 / rate, lambda: self.silent or self.publish())
        self.node.create_timer(0.5, lambda: self._diagnostics.publish(DiagnosticArray(status=[self.status])))
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def _spin(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def publish(self) -> None:
        """Send a result now; any thread may call."""
        with self._publishing:
            stamp = self.node.get_clock().now()
            faces = self.faces
            self._faces.publish(String(data=encode(FacesFrame(
                stamp.nanoseconds, 'camera', *self.size, faces, faces[0].face_id if faces and self.primary else None))))
            if self._annotated.get_subscription_count():
                picture = np.full((480, 640, 3), self.sent % 200, np.uint8)
                self._annotated.publish(to_message(picture, Header(stamp=stamp.to_msg(), frame_id='camera')))
            self.sent += 1
            self.stamps.append(stamp.nanoseconds)

    def wait_until_received(self, dashboard: Dashboard) -> None:
        """Until the dashboard shows what this node has sent, and nothing of what another sent before."""
        usual = self.size
        for size in ((usual[0] + 1, usual[1]), usual):
            self.size = size
            self.wait(lambda size=size: dashboard.state()['size'] == [*size], 'for results')

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
