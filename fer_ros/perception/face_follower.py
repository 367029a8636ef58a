"""The light half of the pipeline: from what successive frames show to ids, smoothed emotions and the primary face.

It needs neither images nor models, and takes about a twentieth of the time of `fer_ros.perception.frame_analyser`.
"""

from dataclasses import replace

import numpy as np

from fer_ros.perception.detection import Detection
from fer_ros.perception.face_states import FaceStates
from fer_ros.perception.primary import PrimaryFace
from fer_ros.perception.seen_frame import SeenFrame
from fer_ros.perception.settings import PipelineSettings
from fer_ros.perception.stopwatch import Stopwatch
from fer_ros.perception.tracking import FaceTracker, Track
from fer_ros.results.frame_result import FrameResult

_NO_KEYPOINTS = np.zeros((0, 2), np.float32)


class FaceFollower:
    """Follows the faces of one camera or video; must be given every frame in its order.

    Args:
        settings: see `PipelineSettings`; those of the heavy half have no effect.
    """

    def __init__(self, settings: PipelineSettings):
        self._tracker = FaceTracker(settings.track_timeout, settings.deterministic_ids)
        self._primary_face = PrimaryFace(settings.primary_face, settings.primary_hold)
        self.states = FaceStates(settings.half_life)
        self._min_quality = settings.min_quality
        self._last: list[Track] = []
        """The faces of the last searched frame, in their order."""

    def follow(self, seen: SeenFrame, stamp: float) -> FrameResult:
        """Add a frame.

        Args:
            seen: what it shows.
            stamp: time of capture, in seconds of any clock. Smoothing is reset when it jumps back or far ahead.

        Returns:
            The faces, with the timings of the stages of both halves.
        """
        watch = Stopwatch()
        tracks = self._tracks(seen, stamp)
        living = frozenset(self._tracker.living_ids)
        usable = [track for track, face in zip(tracks, seen.faces, strict=True) if face.quality >= self._min_quality]
        primary = self._primary_face.choose(usable, living, stamp, (seen.width, seen.height))
        watch.stop('track')
        ids = [track.face_id for track in tracks]
        faces = self.states.update(ids, [face.box for face in seen.faces], seen.probabilities,
                                   [face.quality for face in seen.faces], living, stamp,
                                   [face.classified for face in seen.faces])
        watch.stop('smooth')
        timings = {**seen.timings, **watch.timings, 'track': seen.timings.get('track', 0.0) + watch.timings['track']}
        return FrameResult(faces, primary, living, {i: face.score for i, face in zip(ids, seen.faces, strict=True)},
                           {i: face.tilt for i, face in zip(ids, seen.faces, strict=True)}, timings)

    def _tracks(self, seen: SeenFrame, stamp: float) -> list[Track]:
        """The tracks of the faces of a frame, in their order."""
        if not seen.searched:
            return [replace(self._last[face.source], box=face.box) for face in seen.faces]
        self._last = self._tracker.update([Detection(face.box, face.score, _NO_KEYPOINTS) for face in seen.faces],
                                          stamp)
        return self._last

    def apply(self, settings: PipelineSettings) -> None:
        """Change settings while running; those that are `STRUCTURAL` must not differ."""
        self._tracker.timeout = settings.track_timeout
        self.states.smoother.half_life = settings.half_life
        self._primary_face.policy, self._primary_face.hold = settings.primary_face, settings.primary_hold
        self._min_quality = settings.min_quality

    def reset(self) -> None:
        """Discard all faces, as for another video."""
        self._tracker.reset()
        self._primary_face.reset()
        self.states.reset()
        self._last = []
