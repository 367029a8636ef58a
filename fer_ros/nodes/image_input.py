"""Image input: the topic ``image``, raw or compressed, in which the node detects the faces itself."""

import functools
from collections.abc import Callable
from types import SimpleNamespace

from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from fer_ros.media.grey_levels import GreyLevels
from fer_ros.media.rotation import turned
from fer_ros.nodes import qos
from fer_ros.nodes.frame_input import ClassifiedFrame
from fer_ros.nodes.image_conversion import compressed_to_bgr, to_bgr
from fer_ros.perception.settings import PipelineSettings


class ImageInput:
    """A `FrameInput` of camera images.

    Args:
        node: the node.
        parameters: image_transport is used, and rotate, whose present value counts.
    """

    gives_images = True

    def __init__(self, node: LifecycleNode, parameters: SimpleNamespace):
        self._node = node
        self._compressed = parameters.image_transport == 'compressed'
        self._parameters = parameters
        self._rotate: int = parameters.rotate
        self._levels = GreyLevels()
        self.subscription: Subscription | None = None

    def create_pipeline(self, settings: PipelineSettings):
        """Create a `FacePipeline`."""
        # torch and MediaPipe take seconds and memory to load; a node that is not configured needs neither.
        from fer_ros.perception.pipeline import FacePipeline
        return FacePipeline(settings)

    def open(self, handle: Callable[[Image | CompressedImage], None]) -> None:
        """Subscribe to ``image`` or ``image/compressed``."""
        self._levels.reset()
        topic = self._node.resolve_topic_name('image') + ('/compressed' if self._compressed else '')
        self.subscription = self._node.create_subscription(
            CompressedImage if self._compressed else Image, topic, handle, qos.latest_image(),
            qos_overriding_options=qos.overridable())

    def classify(self, pipeline, message: Image | CompressedImage, stamp: float) -> ClassifiedFrame:
        """Find and classify the faces in the image, turned by `rotate`. Raises ConversionError, PipelineError."""
        image = (compressed_to_bgr if self._compressed else to_bgr)(
            message, functools.partial(self._levels, stamp=stamp))
        if self._rotate != self._parameters.rotate:
            self._rotate = self._parameters.rotate
            pipeline.reset()  # the faces are elsewhere, and were seen from another side
        image = turned(image, self._rotate)
        height, width = image.shape[:2]
        return ClassifiedFrame(pipeline.process(image, stamp), width, height, image)

    def close(self) -> None:
        """Destroy the subscription."""
        if self.subscription is not None:
            self._node.destroy_subscription(self.subscription)
            self.subscription = None
