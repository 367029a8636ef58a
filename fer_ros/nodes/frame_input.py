"""What `image_input` and `humans_input` have in common: where the faces of the node `fer` come from."""

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
    """One message that went through the pipeline."""

    result: FrameResult
    width: int = 1
    height: int = 1
    """Of the image, in pixels; 1 × 1 where boxes are in parts of the image."""
    image: np.ndarray | None = None
    """uint8 (height, width, 3) BGR; None where only pictures of faces came in."""
    bad_pictures: tuple[ConversionError, ...] = ()
    """Why pictures of faces were left out."""


class FrameInput(Protocol):
    """Created at the configure transition from the node and its parameters; open while the node is active.

    Raises:
        PipelineError: what it needs is not installed; the text names the remedy.
    """

    subscription: Subscription | None
    """The one whose topic says whether images come; None while it is closed."""
    gives_images: bool
    """Whether `ClassifiedFrame.image` is there."""

    def create_pipeline(self, settings: PipelineSettings) -> Any:
        """The pipeline that its messages go through. Raises PipelineError."""

    def open(self, handle: Callable[[Any], None]) -> None:
        """Subscribe; `handle` is called in the executor's thread with each message, which has a header."""

    def classify(self, pipeline: Any, message: Any, stamp: float) -> ClassifiedFrame:
        """Decode a message and take it through the pipeline, in the worker's thread.

        Args:
            stamp: of the message, seconds.

        Raises:
            ConversionError: it holds no picture that can be used.
            PipelineError: the detector or the device fails on it.
        """

    def close(self) -> None:
        """Destroy all subscriptions; it can be opened again."""
