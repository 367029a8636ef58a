"""Search for faces near and far with two detectors, in a bounded number of looks per frame.

BlazeFace shrinks what it is given to 128 or 192 pixels: a face that covers 5 % of the image is gone before the network
sees it. So the detectors look at parts of the image as well:

* short range at the whole image: faces that are near;
* short range at a window round each followed face that is too small for that, or was not found there;
* full range at one tile of the image after the other: people who come in far away.

A newcomer counts only when another look at the same place finds the same face. The first frame, and one after a gap, is
searched completely.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from fer_ros.perception.detection import BLAZEFACE, Detection, DetectorError, FaceDetector, create_detector
from fer_ros.perception.image_parts import SAME, Box, Part, brought_up, cut, overlap, same_face, tiles, window
from fer_ros.perception.settings import PipelineSettings
from fer_ros.perception.tracking import Track

NEAR = 0.12
"""Share of the image's longer side from which on the short range detector finds nearly every face in the image."""
TILE = 0.5
"""Side of a tile as a share of the image's longer side."""
TILE_PERIOD = 0.1
"""Minimum seconds between two looks at tiles, which cost the most, while somebody is followed."""
CLOSE, WIDE = 3.0, 5.0
"""Sides of the windows, in widths of the face: as the short, and as the full range detector sees faces best."""
SURE = 0.75
"""Score below which a find may be no face, or its bounding box far from true."""
CONFIRMED = 0.72
"""Least mean score of a newcomer's two looks. Galaxies and headlights have 0.55 to 0.70, faces 0.7 to 0.95."""
BETTER = 0.05
"""A refused find is looked at again at once if its score is higher by this."""
KEPT = 3
"""Looks that followed faces leave for newcomers."""
REFUSED_FOR = 0.5
"""Seconds for which a find that was not confirmed is not looked at again."""
JITTER = 1e-3
"""Seconds by which the stamps of a regular camera may differ from their period."""
GAP = 1.0
"""Seconds between two stamps, forwards or backwards, after which the search begins anew."""
AT_FIRST = 64
"""Looks in the first frame."""


class FaceFinder(Protocol):
    """Finds the faces of the frames of one camera or video."""

    def find(self, image: np.ndarray, stamp: float, tracks: Sequence[Track]) -> list[Detection]:
        """Faces of the next frame.

        Args:
            image: uint8 (H, W, 3) BGR.
            stamp: seconds.
            tracks: the followed faces where they are expected in this frame, those not seen in the last one included.

        Returns:
            One detection for each face.

        Raises:
            DetectorError: a detector fails on this image.
        """

    def apply(self, settings: PipelineSettings) -> None:
        """Take over the settings that can change at any time."""

    def reset(self) -> None:
        """Forget all frames, as for another video."""

    def close(self) -> None:
        """Release the detectors; the finder cannot be used afterwards."""


def create_finder(settings: PipelineSettings) -> FaceFinder:
    """The finder that `settings` ask for.

    Raises:
        DetectorError: a detector cannot be created, or there is a model file that nothing would use.
    """
    if settings.detector != 'search':
        return WholeImage(create_detector(settings.detector, model=settings.detector_model,
                                          confidence=settings.detection_confidence, yunet_side=settings.yunet_side))
    if settings.detector_model:
        raise DetectorError(f'detector_model {settings.detector_model} is not used by the detector search, which takes '
                            'both installed models: leave it empty, or choose short, full or yunet')
    near, far = (create_detector(kind, confidence=settings.detection_confidence) for kind in BLAZEFACE)
    return FaceSearch(near, far, settings.search_looks)


class WholeImage:
    """One detector, which is given every whole image."""

    def __init__(self, detector: FaceDetector):
        self._detector = detector

    def find(self, image: np.ndarray, stamp: float, tracks: Sequence[Track]) -> list[Detection]:
        """See `FaceFinder`."""
        return self._detector.detect(brought_up(image))

    def apply(self, settings: PipelineSettings) -> None:
        """See `FaceFinder`."""
        self._detector.confidence = settings.detection_confidence

    def reset(self) -> None:
        """See `FaceFinder`; a detector remembers nothing."""

    def close(self) -> None:
        """See `FaceFinder`."""
        self._detector.close()


class FaceSearch:
    """Finds faces in the frames of one camera or video; must be told about every frame in its order.

    Args:
        near, far: the short and the full range detector. They belong to the search, which closes them.
        looks: maximum number of windows per frame, at least 2. With more followed faces, those not looked at in
            this frame are taken to be where they are expected.
    """

    def __init__(self, near: FaceDetector, far: FaceDetector, looks: int):
        self._looks = looks
        self._near = near
        self._far = far
        self._size = (0, 0)
        self.reset()

    def apply(self, settings: PipelineSettings) -> None:
        """See `FaceFinder`."""
        self._near.confidence = self._far.confidence = settings.detection_confidence
        self._looks = settings.search_looks

    def reset(self) -> None:
        """See `FaceFinder`."""
        self._stamp = -np.inf
        self._tile_stamp = -np.inf
        self._tile = 0
        self._whole_before = False
        self._refused: list[tuple[Detection, float]] = []
        self._looked: dict[str, float] = {}

    def find(self, image: np.ndarray, stamp: float, tracks: Sequence[Track]) -> list[Detection]:
        """See `FaceFinder`."""
        if abs(stamp - self._stamp) > GAP or image.shape[:2] != self._size:
            self.reset()
            tracks = tracks if image.shape[:2] == self._size else ()
        self._size = (image.shape[0], image.shape[1])
        first = self._stamp == -np.inf
        self._stamp = stamp
        self._refused = [(find, when) for find, when in self._refused if stamp - when < REFUSED_FOR]
        image = brought_up(image)
        frame = _Frame(image, AT_FIRST if first else self._looks, [])
        near = any(frame.share(track.box) >= NEAR for track in tracks)
        period = TILE_PERIOD - JITTER if tracks else 0.0
        tile = stamp - self._tile_stamp >= period
        # Where nobody is near, whole images and tiles take turns.
        whole = first or near or not tile or not self._whole_before
        tile = tile and (first or bool(tracks) or not whole)
        self._whole_before = whole
        newcomers = self._take_followed(frame, self._near.detect(image), tracks) if whole else []
        self._follow(frame, tracks, keep=min(KEPT, frame.left // 2) if tile or newcomers else 0)
        self._take_confirmed(frame, newcomers, ((self._far, WIDE), (self._near, CLOSE)))
        if tile:
            self._tile_stamp = stamp
            for part in self._tiles(frame, every=first):
                self._take_confirmed(frame, frame.detect(self._far, part), ((self._near, CLOSE), (self._far, WIDE)))
        return frame.found

    def _tiles(self, frame: '_Frame', *, every: bool) -> list[Part]:
        """The tiles that are looked at in this frame: every one, or the next."""
        parts = tiles(frame.width, frame.height, TILE)
        if every or not parts:
            return parts
        self._tile = (self._tile + 1) % len(parts)
        return [parts[self._tile]]

    def _take_followed(self, frame: '_Frame', finds: list[Detection], tracks: Sequence[Track]) -> list[Detection]:
        """Take what was found of followed faces in the whole image, if it is sure; returns the other finds."""
        for track in tracks:
            own = max(finds, key=lambda d: overlap(d.box, track.box), default=None)
            if own is not None and overlap(own.box, track.box) >= SAME:
                finds.remove(own)
                if own.score >= SURE:
                    frame.take(own)
                    self._looked[track.face_id] = self._stamp
        return finds

    def _follow(self, frame: '_Frame', tracks: Sequence[Track], *, keep: int) -> None:
        """Look for followed faces that were not found yet: who was not looked at for longest comes first.

        Args:
            keep: number of looks that must be left over.
        """
        self._looked = {track.face_id: self._looked.get(track.face_id, -np.inf) for track in tracks}
        for track in sorted(tracks, key=lambda track: self._looked[track.face_id]):
            if frame.has(track.box):
                continue
            if frame.left <= keep:
                # Not looked at is not gone.
                if not track.missed:
                    frame.take(track.detection)
                continue
            self._looked[track.face_id] = self._stamp
            again = frame.look(self._near, track.box, CLOSE)
            if again is None and frame.left > keep and not track.missed:
                again = frame.look(self._far, track.box, WIDE)
            if again is not None:
                frame.take(again)

    def _take_confirmed(self, frame: '_Frame', newcomers: Sequence[Detection],
                        looks: Sequence[tuple[FaceDetector, float]]) -> None:
        """Take the newcomers that one of these looks confirms."""
        for newcomer in newcomers:
            if frame.has(newcomer.box) or self._was_refused(newcomer):
                continue
            for detector, scale in looks:
                if frame.left <= 0:
                    return
                confirmed = frame.look(detector, newcomer.box, scale)
                if confirmed is not None and (newcomer.score + confirmed.score) / 2 >= CONFIRMED:
                    frame.take(confirmed if detector is self._near else newcomer)
                    break
            else:
                self._refused.append((newcomer, self._stamp))

    def _was_refused(self, newcomer: Detection) -> bool:
        # The other detector may see this face at its true place, and one that comes in is seen better from now on.
        return any(find.detector == newcomer.detector and newcomer.score < find.score + BETTER
                   and overlap(find.box, newcomer.box) >= SAME for find, _ in self._refused)

    def close(self) -> None:
        """Release both detectors; the search cannot be used afterwards."""
        self._near.close()
        self._far.close()


@dataclass
class _Frame:
    """One image, what was found in it, and how many looks are left."""

    image: np.ndarray
    left: int
    """Windows that may still be looked at."""
    found: list[Detection]

    @property
    def width(self) -> int:
        return self.image.shape[1]

    @property
    def height(self) -> int:
        return self.image.shape[0]

    def share(self, box: Box) -> float:
        """Size of a bounding box as a share of the image's longer side."""
        return max(box[2:]) / max(self.width, self.height)

    def has(self, box: Box) -> bool:
        return any(same_face(box, d.box) for d in self.found)

    def take(self, detection: Detection) -> None:
        if not self.has(detection.box):
            self.found.append(detection)

    def look(self, detector: FaceDetector, box: Box, scale: float) -> Detection | None:
        """The face at `box`, seen in a window round it."""
        part = window(box, scale, self.width, self.height)
        if part is None:
            return None
        self.left -= 1
        best = max(self.detect(detector, part), key=lambda d: overlap(d.box, box), default=None)
        return best if best is not None and overlap(best.box, box) >= SAME else None

    def detect(self, detector: FaceDetector, part: Part) -> list[Detection]:
        shift = np.array(part[:2], np.float32)
        return [replace(d, box=(d.box[0] + part[0], d.box[1] + part[1], *d.box[2:]), keypoints=d.keypoints + shift)
                for d in detector.detect(cut(self.image, part))]
