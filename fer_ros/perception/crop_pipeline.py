"""Faces that another detector found and follows in, their emotions out."""

import time
from collections.abc import Collection, Mapping

import numpy as np

from fer_ros.perception.detection import Detection
from fer_ros.perception.face_classifier import Box, FaceClassifier
from fer_ros.perception.letterbox import letterboxed_faces
from fer_ros.perception.pipeline import PipelineSettings
from fer_ros.perception.primary import PrimaryFace
from fer_ros.perception.recognition import EmotionRecognizer
from fer_ros.perception.tracking import Track
from fer_ros.results.faces import FaceEmotion

NOWHERE = (0.0, 0.0, 0.0, 0.0)
"""Box of a face of which no region is known."""


class CropPipeline:
    """As `FacePipeline`, without detection and tracking.

    Args:
        settings: those about detection and tracking have no effect.

    Raises:
        PipelineError: the model or the device cannot be used.
    """

    def __init__(self, settings: PipelineSettings):
        self.classifier = FaceClassifier(EmotionRecognizer(settings.model, settings.device, settings.threads,
                                                   settings.runtime), settings.half_life)
        self._primary_face = PrimaryFace(settings.primary_face, settings.primary_hold)
        self.primary: str | None = None
        self.timings: dict[str, float] = {}
        """Seconds of the last batch's stages: crop, recognise, smooth."""
        self._first_seen: dict[str, float] = {}

    @property
    def recognizer(self) -> EmotionRecognizer:
        return self.classifier.recognizer

    @property
    def living_ids(self) -> set[str]:
        """Of the faces that are followed and of which a picture has come."""
        return set(self._first_seen)

    def process(self, crops: Mapping[str, np.ndarray], boxes: Mapping[str, Box], living: Collection[str],
                stamp: float) -> list[FaceEmotion]:
        """Read all faces in one batch.

        Args:
            crops: letterboxed uint8 (H, W, 3) BGR picture of each face by id.
            boxes: where the faces are, in parts of the image (0 to 1); may lack some.
            living: ids of all faces that are followed; the others are forgotten.
            stamp: of the image that the crops are from, seconds.

        Returns:
            The faces in `crops`, the largest first. Their boxes are in parts of the image.
        """
        start = time.perf_counter()
        self._first_seen = {i: self._first_seen.get(i, stamp) for i in self._first_seen.keys() | crops.keys()
                            if i in living or i in crops}
        self.classifier.keep(self._first_seen)
        ids = sorted(crops, key=lambda i: (-np.prod(boxes.get(i, NOWHERE)[2:]), i))
        faces = letterboxed_faces([crops[i] for i in ids])
        cropped = time.perf_counter()
        raw = self.recognizer.probabilities(faces)
        recognised = time.perf_counter()
        read = self.classifier.smooth(ids, [boxes.get(i, NOWHERE) for i in ids],
                                  self.classifier.calibrate(ids, raw, stamp), stamp)
        self.primary = self._primary_face.choose([self._track(face, stamp) for face in read], self.living_ids, stamp,
                                                 (1, 1))
        self.timings = {'crop': cropped - start, 'recognise': recognised - cropped,
                        'smooth': time.perf_counter() - recognised}
        return read

    def _track(self, face: FaceEmotion, stamp: float) -> Track:
        found = Detection(face.box, 1.0, np.zeros((0, 2)))
        return Track(face.face_id, face.box, self._first_seen[face.face_id], stamp, found)

    def apply(self, settings: PipelineSettings) -> None:
        """Change settings while running; those that need a new pipeline are left as they are."""
        self.classifier.smoother.half_life = settings.half_life
        self._primary_face.policy, self._primary_face.hold = settings.primary_face, settings.primary_hold

    def reset(self) -> None:
        """Forget all faces."""
        self.classifier.reset()
        self._primary_face.reset()
        self._first_seen.clear()
        self.primary = None

    def close(self) -> None:
        """Nothing is held but memory."""
