"""What a pipeline found in one frame."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fer_ros.results.faces import FaceEmotion


@dataclass(frozen=True)
class FrameResult:
    """The one return value of `FacePipeline.process` and `CropPipeline.process`."""

    faces: tuple[FaceEmotion, ...] = ()
    """The faces seen in this frame, the largest first."""
    primary: str | None = None
    """face_id of the primary face; None when there is none or it is not seen in this frame."""
    living_ids: frozenset[str] = frozenset()
    """face_ids of all tracks, including those not seen in this frame."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Detection score, 0 to 1, by face_id; empty where another detector found the faces."""
    tilts: Mapping[str, float] = field(default_factory=dict)
    """Angle of the eyes in radians, clockwise, by face_id; empty where another detector found the faces."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds by stage, in the order in which the stages ran."""
