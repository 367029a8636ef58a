"""The common interface of `image_input` and `humans_input`, the inputs of the node `fer`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from rclpy.subscription import Subscription

from fer_ros.media.image_decoding import ConversionError
from fer_ros.perception.settings import PipelineSettings
from fer_ros.results.frame_result import FrameResult


@dataclass(frozen=True)
class ClassifiedFrame:
    """One message after the pipeline."""

    result: FrameResult
    width: int = 1
    height: int = 1
    """Size of the image in pixels; 1 × 1 if boxes are relative to the image."""
    image: np.ndarray | None = None
    """uint8 (height, width, 3) BGR; None if only face images were received."""
    bad_pictures: tuple[ConversionError, ...] = ()
    """Reasons why face images were skipped."""


class FrameInput(Protocol):
    """Created at the configure transition from the node and its parameters; open while the node is active.

    Raises:
        PipelineError: a dependency is not installed; the message names the remedy.
    """

    subscription: Subscription | None
    """The subscription whose topic is monitored; None while the input is closed."""
    gives_images: bool
    """Whether `ClassifiedFrame.image` is set."""

    def create_pipeline(self, settings: PipelineSettings) -> Any:
        """Create the pipeline for its messages. Raises PipelineError."""

    def open(self, handle: Callable[[Any], None]) -> None:
        """Subscribe; `handle` is called with each message, which has a header, in the thread of the executor."""

    def classify(self, pipeline: Any, message: Any, stamp: float) -> ClassifiedFrame:
        """Decode a message and process it in the pipeline, in the thread of the worker.

        Args:
            pipeline: from `create_pipeline`.
            message: as passed to `handle`.
            stamp: stamp of the message, seconds.

        Raises:
            ConversionError: it contains no usable image.
            PipelineError: the detector or the device fails on it.
        """

    def close(self) -> None:
        """Destroy all subscriptions; the input can be opened again."""
