"""Faces over time: each keeps its id while it is seen, and for a short while when it is not."""

import random
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from fer_ros.parameters import FER_NODE, defaults
from fer_ros.perception.detection import Detection

MAX_COST = 2.0
"""A pair whose cost is not below this is no match. Cost: 1 − IoU, plus the distance as a share of the reach."""
REACH = 1.0
"""Centres further apart than this many face widths are no match…"""
REACH_GROWTH = 1.0
"""…and so many more for each second since the track was seen."""
MAX_SIZE_RATIO = 2.0
MISSED_COST = 0.25
"""Added to a track that was not seen in the last frame: where one face hides another, the detection belongs to the
face in front, which has been seen all along."""
VELOCITY_MEMORY = 0.2
"""Time constant in seconds of the averaged velocity."""
COASTING = 0.5
"""A face that is not seen is taken to move on for at most this many seconds."""

_LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789'  # none that is mistaken for another


@dataclass(eq=False)
class Track:
    """One face followed over time."""

    face_id: str
    box: tuple[float, float, float, float]
    """Where it was last seen: (x, y, width, height) in pixels."""
    first_seen: float
    """Stamp in seconds."""
    last_seen: float
    """Stamp in seconds."""
    detection: Detection
    """The last one."""
    missed: bool = False
    """Not seen in the last frame."""
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    """Of the centre, pixels per second."""

    def predicted_box(self, stamp: float) -> np.ndarray:
        """(4,) where the face is at `stamp` if it moves on as it did."""
        box = np.array(self.box)
        box[:2] += self.velocity * min(max(stamp - self.last_seen, 0.0), COASTING)
        return box

    def moved(self, stamp: float) -> 'Track':
        """A copy of it as `predicted_box` has it; the keypoints move along."""
        box = self.predicted_box(stamp)
        shift = (box[:2] - self.box[:2]).astype(np.float32)
        box = tuple(box.tolist())
        return replace(self, box=box, detection=replace(self.detection, box=box,
                                                        keypoints=self.detection.keypoints + shift))

    def see(self, detection: Detection, stamp: float) -> None:
        elapsed = stamp - self.last_seen
        if elapsed > 0:
            moved = (np.array(detection.box[:2]) + np.array(detection.box[2:]) / 2
                     - np.array(self.box[:2]) - np.array(self.box[2:]) / 2)
            self.velocity += (1 - np.exp(-elapsed / VELOCITY_MEMORY)) * (moved / elapsed - self.velocity)
        self.box, self.detection, self.last_seen, self.missed = detection.box, detection, stamp, False


class FaceTracker:
    """Gives detections the ids of the faces they continue.

    Args:
        timeout: seconds after which a face that is not seen loses its id. May be changed at any time.
        deterministic_ids: 'f1', 'f2', … in order of appearance instead of random ids.
    """

    def __init__(self, timeout: float = defaults(FER_NODE)['track_timeout'], deterministic_ids: bool = False):
        self.timeout = timeout
        self._deterministic = deterministic_ids
        self._count = 0
        self._tracks: list[Track] = []
        self._stamp: float | None = None

    @property
    def living_ids(self) -> set[str]:
        """Of all faces followed, those not seen in the last frame among them."""
        return {track.face_id for track in self._tracks}

    def reset(self) -> None:
        """Forget all faces. Ids given afterwards are new ones."""
        self._tracks = []
        self._stamp = None

    def carried_on(self, stamp: float) -> list[Track]:
        """Where the faces of the last `update` should be by now, without looking: copies, in no special order."""
        return [track.moved(stamp) for track in self._tracks if not track.missed]

    def update(self, detections: list[Detection], stamp: float) -> list[Track]:
        """Follow the faces to the next frame.

        Args:
            detections: of the frame, in any order.
            stamp: of the frame, seconds. One that lies back by more than `timeout` starts anew, as one far
                ahead does; smaller steps back count as no time at all.

        Returns:
            The tracks of `detections`, in their order.
        """
        if self._stamp is not None and stamp < self._stamp - self.timeout:
            self.reset()
        self._stamp = stamp
        self._tracks = [track for track in self._tracks if stamp - track.last_seen <= self.timeout]
        continued = self._assign(detections, stamp)
        for track in self._tracks:
            track.missed = True
        seen = []
        for index, detection in enumerate(detections):
            track = continued.get(index)
            if track is None:
                track = Track(self._new_id(), detection.box, stamp, stamp, detection)
                self._tracks.append(track)
            else:
                track.see(detection, stamp)
            seen.append(track)
        return seen

    def _assign(self, detections: list[Detection], stamp: float) -> dict[int, Track]:
        if not detections or not self._tracks:
            return {}
        predicted = np.array([track.predicted_box(stamp) for track in self._tracks])
        reach = np.array([REACH + REACH_GROWTH * max(stamp - track.last_seen, 0.0) for track in self._tracks])
        extra = np.array([MISSED_COST if track.missed else 0.0 for track in self._tracks])
        cost = _costs(predicted, np.array([d.box for d in detections]), reach) + extra[:, None]
        # With every impossible pair at one price, leaving a face alone is weighed against stretching two pairs.
        cost = np.minimum(cost, MAX_COST)
        return {int(column): self._tracks[row] for row, column in zip(*linear_sum_assignment(cost), strict=True)
                if cost[row, column] < MAX_COST}

    def _new_id(self) -> str:
        living = self.living_ids
        while True:
            self._count += 1
            face_id = f'f{self._count}' if self._deterministic else 'f' + ''.join(random.choices(_LETTERS, k=4))
            if face_id not in living:
                return face_id


def _costs(tracks: np.ndarray, detections: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """(T, D) of boxes (T, 4) and (D, 4); at least MAX_COST where a pair is impossible."""
    low = np.maximum(tracks[:, None, :2], detections[None, :, :2])
    high = np.minimum(tracks[:, None, :2] + tracks[:, None, 2:], detections[None, :, :2] + detections[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(2)
    areas, found = tracks[:, 2:].prod(1), detections[:, 2:].prod(1)
    overlap = common / (areas[:, None] + found[None, :] - common)
    sizes = np.sqrt(areas)[:, None], np.sqrt(found)[None, :]
    centres = tracks[:, None, :2] + tracks[:, None, 2:] / 2 - detections[None, :, :2] - detections[None, :, 2:] / 2
    distance = np.linalg.norm(centres, axis=2) / ((sizes[0] + sizes[1]) / 2)
    ratio = np.maximum(sizes[0] / sizes[1], sizes[1] / sizes[0])
    share = distance / reach[:, None]
    return np.where((share <= 1) & (ratio <= MAX_SIZE_RATIO), 1 - overlap + share, MAX_COST)
