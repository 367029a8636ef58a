"""From face images of another detector to their emotions."""

from collections.abc import Collection, Mapping

import numpy as np

from fer_ros.perception import quality
from fer_ros.perception.detection import Detection
from fer_ros.perception.face_states import FaceStates
from fer_ros.perception.image_parts import Box
from fer_ros.perception.letterbox import content, letterboxed_faces
from fer_ros.perception.neutral_baseline import NeutralBaselines
from fer_ros.perception.primary import PrimaryFace
from fer_ros.perception.recognition import create_recognizer
from fer_ros.perception.settings import PipelineSettings
from fer_ros.perception.stopwatch import Stopwatch
from fer_ros.perception.tracking import Track
from fer_ros.perception.turns import TurnTaking
from fer_ros.results.frame_result import FrameResult

NOWHERE = (0.0, 0.0, 0.0, 0.0)
"""Box of a face whose region is not known."""


class CropPipeline:
    """Like `FacePipeline`, without detection and tracking.

    Args:
        settings: those of detection and tracking have no effect.

    Raises:
        PipelineError: the model or the device cannot be used.
    """

    def __init__(self, settings: PipelineSettings):
        self.recognizer = create_recognizer(settings)
        """The network, with the device and the runtime that really run it."""
        self.states = FaceStates(settings.half_life)
        self._turns = TurnTaking(self.recognizer, settings.max_faces_per_frame)
        self._primary_face = PrimaryFace(settings.primary_face, settings.primary_hold)
        self._min_quality = settings.min_quality
        self._first_seen: dict[str, float] = {}

    @property
    def baselines(self) -> NeutralBaselines:
        """The resting faces."""
        return self.states.baselines

    def process(self, crops: Mapping[str, np.ndarray], boxes: Mapping[str, Box], living: Collection[str],
                stamp: float) -> FrameResult:
        """Classify the faces whose turn it is in one batch.

        Args:
            crops: letterboxed face images by id, uint8 (H, W, 3) BGR.
            boxes: bounding boxes by id, relative to the image (0 to 1); may be incomplete.
            living: ids of all living tracks; the state of other faces is discarded.
            stamp: stamp of the image, seconds.

        Returns:
            The faces in `crops`, with boxes relative to the image and without scores; `living_ids` are those of which
            an image was received. Its timings are those of the stages crop, recognise and smooth.

        Raises:
            PipelineError: the device fails on this batch; the next one may be processed.
        """
        watch = Stopwatch()
        self._first_seen = {i: self._first_seen.get(i, stamp) for i in self._first_seen.keys() | crops.keys()
                            if i in living or i in crops}
        known = frozenset(self._first_seen)
        ids = sorted(crops, key=lambda i: (-np.prod(boxes.get(i, NOWHERE)[2:]), i))
        seen = [self._track(i, boxes.get(i, NOWHERE), stamp) for i in ids]
        faces = letterboxed_faces([crops[i] for i in ids])
        # Pose and border are not known of an image that another detector has cut out.
        clear = quality.of_pictures(faces, [max(content(crops[i]).shape[:2]) for i in ids])
        usable = [track for track, value in zip(seen, clear, strict=True) if value >= self._min_quality]
        primary = self._primary_face.choose(usable, known, stamp, (1, 1))
        watch.stop('crop')
        inferred, classified = self._turns.probabilities(ids, faces, known)
        watch.stop('recognise')
        emotions = self.states.update(ids, [track.box for track in seen], inferred, clear.tolist(), known, stamp,
                                      classified)
        watch.stop('smooth')
        return FrameResult(emotions, primary, known, timings=watch.timings)

    def _track(self, face_id: str, box: Box, stamp: float) -> Track:
        return Track(face_id, box, self._first_seen[face_id], stamp, Detection(box, 1.0, np.zeros((0, 2))))

    def apply(self, settings: PipelineSettings) -> None:
        """Change settings while running; those that require a new pipeline are ignored."""
        self.states.smoother.half_life = settings.half_life
        self._turns.most = settings.max_faces_per_frame
        self._primary_face.policy, self._primary_face.hold = settings.primary_face, settings.primary_hold
        self._min_quality = settings.min_quality

    def reset(self) -> None:
        """Discard all faces."""
        self.states.reset()
        self._turns.reset()
        self._primary_face.reset()
        self._first_seen.clear()

    def close(self) -> None:
        """Nothing to release except memory."""
