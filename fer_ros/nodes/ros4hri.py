"""ROS4HRI (REP-155) output: the faces as other robot software expects them, below ``/humans/faces``."""

import math
import threading
import time
from collections.abc import Callable, Collection

import cv2
import numpy as np
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from fer_ros.faces import FaceEmotion
from fer_ros.nodes import qos
from fer_ros.nodes.image_conversion import to_message
from fer_ros.nodes.outputs import Result

try:
    from hri_msgs.msg import Expression, IdsList, NormalizedRegionOfInterest2D
except ImportError:
    Expression = None

INSTALL = 'hri_msgs cannot be imported: install it (sudo apt install ros-$ROS_DISTRO-hri-msgs) and source the workspace'
CROP_SIZE = 128
"""Pixels, of ``cropped``."""


def available() -> bool:
    """Whether hri_msgs is installed."""
    return Expression is not None


class HumansOutput:
    """``tracked``, and of each face ``roi``, ``expression``, and ``cropped`` while someone subscribes to it.

    A face's publishers are made when its track begins and destroyed `grace` seconds after it ended: a consumer needs
    time to find them, and messages on the way are lost with their publisher.

    Args:
        namespace: topics are below <namespace>/faces.
        grace: seconds.
        clock: seconds, monotonic.
    """

    def __init__(self, node: LifecycleNode, namespace: str = '/humans', grace: float = 2.0,
                 clock: Callable[[], float] = time.monotonic):
        self.grace = grace
        self._node = node
        self._prefix = f'{namespace.rstrip("/")}/faces'
        self._clock = clock
        self._lock = threading.Lock()  # frames come from the worker, `expire` and `clear` from the executor
        self._faces: dict[str, _FacePublishers] = {}
        self._tracked_ids: tuple[str, ...] = ()
        self._last_result: float | None = None
        self._tracked = node.create_publisher(IdsList, f'{self._prefix}/tracked', qos.result(),
                                              qos_overriding_options=qos.overridable())

    def publish(self, result: Result) -> None:
        now = self._clock()
        with self._lock:
            self._last_result = now
            for face_id in sorted(result.living):
                self._publishers(face_id).last_alive = now
            self._drop_faces(now)
            # Ids first: a consumer subscribes to a face's topics when it reads its id.
            self._publish_tracked(result.header, result.living)
            for face in result.frame.faces:
                self._publishers(face.face_id).publish(face, result)

    def expire(self, timeout: float) -> None:
        """Say that there is no face when the last frame is more than `timeout` seconds ago; call it now and then."""
        now = self._clock()
        with self._lock:
            if self._tracked_ids and self._last_result is not None and now - self._last_result > timeout:
                self._publish_tracked(self._header_now(), ())
            self._drop_faces(now)

    def clear(self) -> None:
        """Say that there is no face, and let go of all faces' publishers: the node stops looking."""
        with self._lock:
            self._publish_tracked(self._header_now(), ())
            self._drop_faces(math.inf)
            self._last_result = None

    def close(self) -> None:
        """Destroy all publishers."""
        with self._lock:
            self._drop_faces(math.inf)
            self._node.destroy_publisher(self._tracked)

    def _publishers(self, face_id: str) -> '_FacePublishers':
        if face_id not in self._faces:
            self._faces[face_id] = _FacePublishers(self._node, f'{self._prefix}/{face_id}')
        return self._faces[face_id]

    def _drop_faces(self, now: float) -> None:
        for face_id in [i for i, face in self._faces.items() if now - face.last_alive > self.grace]:
            self._faces.pop(face_id).close()

    def _publish_tracked(self, header: Header, ids: Collection[str]) -> None:
        self._tracked_ids = tuple(sorted(ids))
        self._tracked.publish(IdsList(header=header, ids=list(self._tracked_ids)))

    def _header_now(self) -> Header:
        return Header(stamp=self._node.get_clock().now().to_msg())


class _FacePublishers:
    def __init__(self, node: LifecycleNode, prefix: str):
        self.last_alive = math.inf
        self._node = node

        def create(message_type: type, name: str, profile):
            # Default event callbacks would have the executor wait on every one of them.
            return node.create_publisher(message_type, f'{prefix}/{name}', profile,
                                         event_callbacks=PublisherEventCallbacks(use_default_callbacks=False))

        self._roi = create(NormalizedRegionOfInterest2D, 'roi', qos.result())
        self._expression = create(Expression, 'expression', qos.result())
        self._cropped = create(Image, 'cropped', qos.image(reliable=True))

    def publish(self, face: FaceEmotion, result: Result) -> None:
        frame = result.frame
        self._roi.publish(region(face, frame.width, frame.height, result.header, result.scores.get(face.face_id, 0.0)))
        self._expression.publish(expression(face, result.header))
        if self._cropped.get_subscription_count():
            self._cropped.publish(to_message(letterboxed(result.image, face.box), result.header))

    def close(self) -> None:
        for publisher in (self._roi, self._expression, self._cropped):
            self._node.destroy_publisher(publisher)


def expression(face: FaceEmotion, header: Header):
    """hri_msgs/Expression of `face`; arousal is not estimated, and NaN says so: 0 would read as calm."""
    return Expression(header=header, expression=face.emotion, valence=face.valence, arousal=math.nan,
                      confidence=face.confidence)


def region(face: FaceEmotion, width: int, height: int, header: Header, score: float):
    """hri_msgs/NormalizedRegionOfInterest2D of `face` in an image of `width` × `height` pixels.

    Args:
        score: of the detection, 0 to 1.
    """
    x, y, w, h = face.box

    def part(value: float, whole: int) -> float:
        return float(min(max(value / whole, 0.0), 1.0))

    return NormalizedRegionOfInterest2D(header=header, xmin=part(x, width), ymin=part(y, height),
                                        xmax=part(x + w, width), ymax=part(y + h, height), c=score)


def letterboxed(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The part of `image` in `box`, scaled to fit into a black square and centred in it.

    Args:
        image: uint8 (H, W, 3) BGR.
        box: (x, y, width, height) in pixels; what lies outside the image is left out.

    Returns:
        uint8 (128, 128, 3) BGR; all black where the box lies outside the image.
    """
    height, width = image.shape[:2]
    x0, x1 = (int(np.clip(round(v), 0, width)) for v in (box[0], box[0] + box[2]))
    y0, y1 = (int(np.clip(round(v), 0, height)) for v in (box[1], box[1] + box[3]))
    square = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)
    if x1 <= x0 or y1 <= y0:
        return square
    scale = CROP_SIZE / max(x1 - x0, y1 - y0)
    w, h = (max(1, round(v * scale)) for v in (x1 - x0, y1 - y0))
    left, top = (CROP_SIZE - w) // 2, (CROP_SIZE - h) // 2
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    square[top:top + h, left:left + w] = cv2.resize(image[y0:y1, x0:x1], (w, h), interpolation=interpolation)
    return square
