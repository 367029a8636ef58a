"""The heavy half of the pipeline: from an image to its faces and what the network says of each.

It follows the faces only to know where to look for them next. Ids, baseline and smoothing are of the light half,
`fer_ros.perception.face_follower`.
"""

from dataclasses import dataclass, replace

import numpy as np

from fer_ros.perception import quality
from fer_ros.perception.cropping import FRAMING, crop_faces
from fer_ros.perception.recognition import create_recognizer
from fer_ros.perception.search import create_finder
from fer_ros.perception.seen_frame import SeenFace, SeenFrame
from fer_ros.perception.settings import PipelineSettings, check
from fer_ros.perception.still_image import StillImage
from fer_ros.perception.stopwatch import Stopwatch
from fer_ros.perception.tracking import FaceTracker, Track
from fer_ros.perception.turns import TurnTaking


class FrameAnalyser:
    """Detection, cropping and inference of the frames of one camera or video, in their order.

    Must not be used from several threads at once. After `reset`, frames depend on nothing that came before.

    Args:
        settings: see `PipelineSettings`; those of the light half have no effect.

    Raises:
        PipelineError: the model, the device or the detector cannot be used (`RecognizerError`, `DetectorError`).
        ValueError: a setting is out of its range.
    """

    def __init__(self, settings: PipelineSettings):
        check(settings)
        self.recognizer = create_recognizer(settings)
        self._turns = TurnTaking(self.recognizer, settings.max_faces_per_frame)
        self.finder = create_finder(settings)
        self._tracker = FaceTracker(settings.track_timeout, deterministic_ids=True)
        self._still_image = StillImage()
        self._last_search: _Searched | None = None
        self.settings = settings

    def analyse(self, image: np.ndarray, stamp: float) -> SeenFrame:
        """Find and classify the faces of the next frame.

        Args:
            image: uint8 (H, W, 3) BGR.
            stamp: time of capture, in seconds of any clock.

        Raises:
            ValueError: the image has another dtype or shape, or no pixels, or the stamp is not finite.
            PipelineError: the detector or the device fails on this frame; the next one may be analysed and is
                searched.
        """
        _check_image(image, stamp)
        watch = Stopwatch()
        last, self._last_search = self._last_search, None  # if this frame fails, the next one is searched
        tracks, sources, searched = self._find(image, stamp, last, watch)
        watch.stop('track')
        height, width = image.shape[:2]
        detections = [track.detection for track in tracks]
        squares = [FRAMING[detection.detector].square(detection) for detection in detections]
        crops = crop_faces(image, squares)
        seen = quality.of_faces(crops, squares, detections, width, height).tolist()
        watch.stop('crop')
        probabilities, classified = self._turns.probabilities([track.face_id for track in tracks], crops,
                                                              self._tracker.living_ids)
        watch.stop('recognise')
        self._last_search = searched
        faces = tuple(SeenFace(track.box, track.detection.score, square.tilt, *rest) for track, square, *rest
                      in zip(tracks, squares, seen, sources, classified, strict=True))
        return SeenFrame(width, height, faces, probabilities, searched.frames == 1, watch.timings)

    def warm_up(self, image: np.ndarray, stamp: float) -> None:
        """Look for faces as `analyse` does, without classifying them: only the search of later frames is changed.

        Raises:
            ValueError, PipelineError: as `analyse`.
        """
        _check_image(image, stamp)
        last, self._last_search = self._last_search, None
        self._last_search = self._find(image, stamp, last, Stopwatch())[2]

    def search_next(self) -> None:
        """Search the next frame in any case, so that it refers to none before it."""
        self._last_search = None

    def _find(self, image: np.ndarray, stamp: float, last: '_Searched | None',
              watch: Stopwatch) -> tuple[list[Track], list[int], '_Searched']:
        """The tracks seen in this frame, the largest first, with their `SeenFace.source`, and the last search.

        They are extrapolated if `detect_every` allows while there is a face, and in a still image for `still_period`.
        Detection runs after a gap or a jump of the stamps in any case, and when the image size changes.
        """
        settings = self.settings
        still = settings.still_period > 0 and self._still_image.see(image, stamp)
        if last is not None and (last.shape == image.shape
                                 and 0 <= stamp - last.stamp < settings.track_timeout / 2):
            tracks = self._tracker.carried_on(stamp)
            still = still and stamp - last.stamp < settings.still_period
            if still or (tracks and last.frames < settings.detect_every):
                watch.stop('detect')
                tracks = sorted(tracks, key=lambda track: -track.box[2] * track.box[3])[:settings.max_faces]
                return tracks, [last.ids.index(t.face_id) for t in tracks], replace(last, frames=last.frames + 1)
        detections = self.finder.find(image, stamp, self._tracker.expected(stamp))
        detections.sort(key=lambda d: -d.box[2] * d.box[3])
        watch.stop('detect')
        tracks = self._tracker.update(detections[:settings.max_faces], stamp)
        return tracks, [-1] * len(tracks), _Searched(image.shape, stamp, tuple(track.face_id for track in tracks))

    def apply(self, settings: PipelineSettings) -> None:
        """Change settings while running; those that are `STRUCTURAL` must not differ."""
        self.finder.apply(settings)
        self._turns.most = settings.max_faces_per_frame
        self._tracker.timeout = settings.track_timeout
        self.settings = settings

    def reset(self) -> None:
        """Forget all frames, as for another video."""
        self.finder.reset()
        self._turns.reset()
        self._still_image.reset()
        self._tracker.reset()
        self._last_search = None

    def close(self) -> None:
        """Release detector and network; the analyser cannot be used afterwards. May be called repeatedly."""
        if hasattr(self, 'finder'):
            self.finder.close()
            # MediaPipe keeps the stack of its first import alive, and with it what triggered the import.
            del self.recognizer, self._turns, self.finder


@dataclass(frozen=True)
class _Searched:
    """The last run of the detector."""

    shape: tuple[int, ...]
    stamp: float
    ids: tuple[str, ...]
    """Of the tracks of its faces, in their order."""
    frames: int = 1
    """Number of frames since then, including that one."""


def _check_image(image: np.ndarray, stamp: float) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f'the image must be uint8 (height, width, 3) BGR, got {got}')
    if not image.size:
        raise ValueError(f'the image has no pixels: its shape is {image.shape}')
    if not np.isfinite(stamp):
        raise ValueError(f'the stamp must be a finite number of seconds, got {stamp}')
