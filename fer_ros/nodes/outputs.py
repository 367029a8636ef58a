"""The outputs of fer_node, one class per message type."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, Header, String

from fer_ros.drawing.annotate import annotate
from fer_ros.drawing.colours import FaceColours
from fer_ros.nodes import qos
from fer_ros.nodes.image_conversion import to_message
from fer_ros.results.faces import FacesFrame, encode
from fer_ros.results.frame_result import FrameResult


@dataclass(frozen=True)
class ProcessedFrame:
    """One frame and its result."""

    header: Header
    """Header of the image message, unchanged."""
    image: np.ndarray | None
    """uint8 (height, width, 3) BGR; None if only face images were received."""
    faces: FacesFrame
    """The content of ``~/faces``."""
    result: FrameResult
    """The result of the pipeline."""


class Output(ABC):
    """An output; its publishers exist from the configure to the cleanup transition."""

    @abstractmethod
    def publish(self, frame: ProcessedFrame) -> None:
        """Publish a frame, in the thread of the worker."""

    def wanted(self) -> bool:
        """Whether anybody may use the output now; may be called from any thread."""
        return True

    def stop(self) -> None:  # noqa: B027 (most outputs need not react)
        """React to the deactivation of the node, after the last frame."""

    @abstractmethod
    def close(self) -> None:
        """Destroy all publishers."""


class PrimaryOutput(Output):
    """``~/emotion`` and ``~/valence`` of the primary face; nothing while it is not seen."""

    def __init__(self, node: LifecycleNode):
        self._node = node
        self._emotion = _publisher(node, String, '~/emotion')
        self._valence = _publisher(node, Float32, '~/valence')

    def publish(self, frame: ProcessedFrame) -> None:
        """Publish a frame."""
        for face in frame.result.faces:
            if face.face_id == frame.result.primary:
                self._emotion.publish(String(data=face.emotion))
                self._valence.publish(Float32(data=face.valence))

    def wanted(self) -> bool:
        """Whether there are subscribers."""
        return bool(self._emotion.get_subscription_count() or self._valence.get_subscription_count())

    def close(self) -> None:
        """Destroy all publishers."""
        self._node.destroy_lifecycle_publisher(self._emotion)
        self._node.destroy_lifecycle_publisher(self._valence)


class FacesOutput(Output):
    """``~/faces``: all faces as JSON, while there are subscribers, even without a face."""

    def __init__(self, node: LifecycleNode):
        self._node = node
        self._publisher = _publisher(node, String, '~/faces')

    def publish(self, frame: ProcessedFrame) -> None:
        """Publish a frame."""
        if self.wanted():
            self._publisher.publish(String(data=encode(frame.faces)))

    def wanted(self) -> bool:
        """Whether there are subscribers."""
        return bool(self._publisher.get_subscription_count())

    def close(self) -> None:
        """Destroy all publishers."""
        self._node.destroy_lifecycle_publisher(self._publisher)


class AnnotatedOutput(Output):
    """``~/annotated``: the image with boxes, ids, emotions and valence, while there are subscribers.

    Args:
        node: the node.
        enabled: returns whether the output is enabled.
    """

    def __init__(self, node: LifecycleNode, enabled: Callable[[], bool]):
        self._enabled = enabled
        self._node = node
        self._colours = FaceColours()
        self._publisher = node.create_lifecycle_publisher(Image, '~/annotated', qos.image(reliable=True),
                                                          qos_overriding_options=qos.overridable())

    def publish(self, frame: ProcessedFrame) -> None:
        """Publish a frame."""
        if frame.image is not None and self.wanted():
            self._publisher.publish(to_message(annotate(frame.image, frame.faces, self._colours), frame.header))

    def wanted(self) -> bool:
        """Whether it is enabled and there are subscribers."""
        return bool(self._enabled() and self._publisher.get_subscription_count())

    def close(self) -> None:
        """Destroy all publishers."""
        self._node.destroy_lifecycle_publisher(self._publisher)


def _publisher(node: LifecycleNode, message_type: type, topic: str):
    return node.create_lifecycle_publisher(message_type, topic, qos.result(), qos_overriding_options=qos.overridable())
