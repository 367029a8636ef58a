"""What one frame shows by itself: the record between the two halves of the pipeline.

The heavy half (`fer_ros.perception.frame_analyser`) makes it from an image, the light half
(`fer_ros.perception.face_follower`) turns the records of successive frames into ids and smoothed emotions. It is small,
immutable, holds no image and can be pickled, so that the halves may run in different processes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fer_ros.emotions import EMOTIONS
from fer_ros.perception.image_parts import Box


@dataclass(frozen=True)
class SeenFace:
    """One face in one frame, whoever it is."""

    box: Box
    """(x, y, width, height) in pixels; may extend beyond the image."""
    score: float
    """Of the detector, 0 to 1."""
    tilt: float
    """Angle of the eyes in radians, clockwise."""
    quality: float
    """How well it can be seen, 0 to 1."""
    source: int = -1
    """In a frame that was not searched: which of the faces of the last searched frame is extrapolated to this one.
    Otherwise -1."""
    classified: bool = True
    """Whether the network classified it in this frame; else its probabilities are the last ones."""


@dataclass(frozen=True, eq=False)
class SeenFrame:
    """One frame and its faces, the largest first."""

    width: int
    height: int
    """Size of the image in pixels."""
    faces: tuple[SeenFace, ...] = ()
    probabilities: np.ndarray = field(default_factory=lambda: np.zeros((0, len(EMOTIONS)), np.float32))
    """float32 (N, 7): of the network for each face, in the order of `EMOTIONS`, before baseline and smoothing."""
    searched: bool = True
    """Whether faces were looked for; else those of the last searched frame were extrapolated."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds by stage: detect, track, crop and recognise."""
