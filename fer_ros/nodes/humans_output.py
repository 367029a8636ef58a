"""ROS4HRI (REP-155) output: the faces for other robot software, below ``/humans/faces``."""

import math
import threading
import time
from collections.abc import Collection

import cv2
import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from fer_ros.nodes import qos
from fer_ros.nodes.image_conversion import to_message
from fer_ros.nodes.outputs import Output, ProcessedFrame
from fer_ros.nodes.per_face import PerFace
from fer_ros.results.faces import FaceEmotion

try:
    from hri_msgs.msg import Expression, IdsList, NormalizedRegionOfInterest2D
except ImportError:
    Expression = IdsList = NormalizedRegionOfInterest2D = None

INSTALL = 'hri_msgs cannot be imported: install it (sudo apt install ros-$ROS_DISTRO-hri-msgs) and source the workspace'
CROP_SIZE = 128
"""Side of ``cropped`` in pixels."""


def available() -> bool:
    """Whether hri_msgs is installed."""
    return Expression is not None


class HumansOutput(Output):
    """``tracked``, and for each face ``roi``, ``expression``, and ``cropped`` while it has subscribers.

    Args:
        namespace: topics are below <namespace>/faces.
        grace: seconds for which the publishers of a face are kept after its track ended.
        silence: seconds without a frame after which an empty ``tracked`` is published.
    """

    def __init__(self, node: LifecycleNode, namespace: str, grace: float, silence: float):
        self._node = node
        self._silence = silence
        self._lock = threading.Lock()  # frames come from the worker, calls of `_expire` and `stop` from the executor
        prefix = f'{namespace.rstrip("/")}/faces'
        self._faces = PerFace(lambda face_id: _FacePublishers(node, f'{prefix}/{face_id}'), grace)
        self._tracked_ids: tuple[str, ...] = ()
        self._last_result: float | None = None
        self._tracked = node.create_publisher(IdsList, f'{prefix}/tracked', qos.result(),
                                              qos_overriding_options=qos.overridable())
        self._timer = node.create_timer(1.0, self._expire, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def publish(self, frame: ProcessedFrame) -> None:
        """Publish a frame."""
        with self._lock:
            self._last_result = time.monotonic()
            self._faces.keep(frame.result.living_ids)
            # Ids first: a consumer subscribes to the topics of a face when it receives its id.
            self._publish_tracked(frame.header, frame.result.living_ids)
            for face in frame.result.faces:
                self._faces[face.face_id].publish(face, frame)

    def stop(self) -> None:
        """Publish an empty ``tracked`` and destroy the publishers of all faces."""
        with self._lock:
            self._publish_tracked(self._header_now(), ())
            self._tracked.wait_for_all_acked(Duration(seconds=1))  # the program may exit next
            self._faces.clear()
            self._last_result = None

    def close(self) -> None:
        """Destroy all publishers."""
        self._node.destroy_timer(self._timer)
        with self._lock:
            self._faces.clear()
            self._node.destroy_publisher(self._tracked)

    def _expire(self) -> None:
        # Without frames no track ends, although nothing shows that its face is still present.
        with self._lock:
            if self._last_result is not None and time.monotonic() - self._last_result > self._silence:
                if self._tracked_ids:
                    self._publish_tracked(self._header_now(), ())
                self._faces.keep(())

    def _publish_tracked(self, header: Header, ids: Collection[str]) -> None:
        self._tracked_ids = tuple(sorted(ids))
        self._tracked.publish(IdsList(header=header, ids=list(self._tracked_ids)))

    def _header_now(self) -> Header:
        return Header(stamp=self._node.get_clock().now().to_msg())


class ExpressionOutput(Output):
    """Only ``expression`` of each face; ids and images are published by another node.

    Args:
        namespace: topics are below <namespace>/faces.
        grace: seconds for which the publisher of a face is kept after its track ended.
    """

    def __init__(self, node: LifecycleNode, namespace: str, grace: float):
        prefix = f'{namespace.rstrip("/")}/faces'
        self._faces = PerFace(lambda face_id: _ExpressionPublisher(node, f'{prefix}/{face_id}'), grace)

    def publish(self, frame: ProcessedFrame) -> None:
        """Publish a frame."""
        self._faces.keep(frame.result.living_ids)
        for face in frame.result.faces:
            self._faces[face.face_id].publish(face, frame)

    def close(self) -> None:
        """Destroy all publishers."""
        self._faces.clear()


class _ExpressionPublisher:
    def __init__(self, node: LifecycleNode, prefix: str):
        self._node = node
        self._publisher = _create(node, Expression, f'{prefix}/expression', qos.result())

    def publish(self, face: FaceEmotion, frame: ProcessedFrame) -> None:
        self._publisher.publish(expression(face, frame.header))

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)


class _FacePublishers:
    def __init__(self, node: LifecycleNode, prefix: str):
        self._node = node
        self._expression = _ExpressionPublisher(node, prefix)
        self._roi = _create(node, NormalizedRegionOfInterest2D, f'{prefix}/roi', qos.result())
        self._cropped = _create(node, Image, f'{prefix}/cropped', qos.image(reliable=True))

    def publish(self, face: FaceEmotion, frame: ProcessedFrame) -> None:
        score = frame.result.scores.get(face.face_id, 0.0)
        self._roi.publish(region(face, frame.faces.width, frame.faces.height, frame.header, score))
        self._expression.publish(face, frame)
        if frame.image is not None and self._cropped.get_subscription_count():
            self._cropped.publish(to_message(letterboxed(frame.image, face.box), frame.header))

    def close(self) -> None:
        self._expression.close()
        self._node.destroy_publisher(self._roi)
        self._node.destroy_publisher(self._cropped)


def _create(node: LifecycleNode, message_type: type, topic: str, profile: QoSProfile) -> Publisher:
    # With the default event callbacks, the executor would wait for each of these publishers.
    return node.create_publisher(message_type, topic, profile,
                                 event_callbacks=PublisherEventCallbacks(use_default_callbacks=False))


def expression(face: FaceEmotion, header: Header):
    """hri_msgs/Expression of `face`; arousal is not estimated and therefore NaN: 0 would mean calm.

    Its confidence is that of the emotion times the quality of the face, since the message has no field for that.
    """
    return Expression(header=header, expression=face.emotion, valence=face.valence, arousal=math.nan,
                      confidence=face.confidence * face.quality)


def region(face: FaceEmotion, width: int, height: int, header: Header, score: float):
    """hri_msgs/NormalizedRegionOfInterest2D of `face` in an image of `width` × `height` pixels.

    Args:
        score: detection score, 0 to 1.
    """
    x, y, w, h = face.box

    def part(value: float, whole: int) -> float:
        return float(min(max(value / whole, 0.0), 1.0))

    return NormalizedRegionOfInterest2D(header=header, xmin=part(x, width), ymin=part(y, height),
                                        xmax=part(x + w, width), ymax=part(y + h, height), c=score)


def letterboxed(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The part of `image` in `box`, scaled to fit and centred on a black square.

    Args:
        image: uint8 (H, W, 3) BGR.
        box: (x, y, width, height) in pixels; parts outside of the image are ignored.

    Returns:
        uint8 (128, 128, 3) BGR; black if the box is outside of the image.
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
