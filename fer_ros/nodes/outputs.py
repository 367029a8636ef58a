"""What fer_node publishes, one class per kind of message."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, Header, String

from fer_ros.drawing.annotate import annotate
from fer_ros.drawing.colours import FaceColours
from fer_ros.nodes import qos
from fer_ros.nodes.image_conversion import to_message
from fer_ros.results.faces import FacesFrame, encode


@dataclass(frozen=True)
class Result:
    """One processed frame."""

    header: Header
    """Of the image message, unchanged."""
    image: np.ndarray | None
    """uint8 (height, width, 3) BGR; None where only pictures of faces came in."""
    frame: FacesFrame
    living: frozenset[str] = frozenset()
    """Ids of all faces that are followed, unseen ones among them."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Detection score, 0 to 1, of each face seen."""


class Output(Protocol):
    """Its publishers live from the configure to the cleanup transition."""

    def publish(self, result: Result) -> None: ...

    def close(self) -> None: ...


class PrimaryOutput:
    """``~/emotion`` and ``~/valence`` of the primary face; nothing while it is not in the picture."""

    def __init__(self, node: LifecycleNode):
        self._node = node
        self._emotion = _publisher(node, String, '~/emotion')
        self._valence = _publisher(node, Float32, '~/valence')

    def publish(self, result: Result) -> None:
        for face in result.frame.faces:
            if face.face_id == result.frame.primary:
                self._emotion.publish(String(data=face.emotion))
                self._valence.publish(Float32(data=face.valence))

    def close(self) -> None:
        self._node.destroy_lifecycle_publisher(self._emotion)
        self._node.destroy_lifecycle_publisher(self._valence)


class FacesOutput:
    """``~/faces``: everything about every face as JSON, while someone subscribes; also when there is no face."""

    def __init__(self, node: LifecycleNode):
        self._node = node
        self._publisher = _publisher(node, String, '~/faces')

    def publish(self, result: Result) -> None:
        if self._publisher.get_subscription_count():
            self._publisher.publish(String(data=encode(result.frame)))

    def close(self) -> None:
        self._node.destroy_lifecycle_publisher(self._publisher)


class AnnotatedOutput:
    """``~/annotated``: the picture with boxes, ids, emotions and valence, while `enabled` and someone subscribes."""

    def __init__(self, node: LifecycleNode, enabled: bool = True):
        self.enabled = enabled
        self._node = node
        self._colours = FaceColours()
        self._publisher = node.create_lifecycle_publisher(Image, '~/annotated', qos.image(reliable=True),
                                                          qos_overriding_options=qos.overridable())

    def publish(self, result: Result) -> None:
        if self.enabled and self._publisher.get_subscription_count():
            self._publisher.publish(to_message(annotate(result.image, result.frame, self._colours), result.header))

    def close(self) -> None:
        self._node.destroy_lifecycle_publisher(self._publisher)


def _publisher(node: LifecycleNode, message_type: type, topic: str):
    return node.create_lifecycle_publisher(message_type, topic, qos.result(), qos_overriding_options=qos.overridable())
