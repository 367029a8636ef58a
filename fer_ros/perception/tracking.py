"""Tracks faces over time: each keeps its id while it is seen and for a short time afterwards."""

import random
from dataclasses import dataclass, field, replace

import numpy as np

from fer_ros.parameters import FER_NODE, defaults
from fer_ros.perception.detection import Detection

MAX_COST = 2.0
"""A pair with at least this cost is not a match. Cost: 1 − IoU, plus the distance relative to the search radius."""
REACH = 1.0
"""Search radius in face widths: centres further apart are not a match."""
REACH_GROWTH = 1.0
"""Growth of the search radius in face widths per second since the track was last seen."""
MAX_SIZE_RATIO = 2.0
MISSED_COST = 0.25
"""Added to the cost of a track not seen in the last frame: if one face occludes another, the detection belongs to the
face in front, which was visible all along.
"""
VELOCITY_MEMORY = 0.2
"""Time constant in seconds of the averaged velocity."""
COASTING = 0.5
"""Seconds for which the position of an unseen face is extrapolated at most."""

_LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789'  # without ambiguous ones


@dataclass(eq=False)
class Track:
    """One face over time."""

    face_id: str
    box: tuple[float, float, float, float]
    """Last bounding box: (x, y, width, height) in pixels."""
    first_seen: float
    """Stamp of the first detection, seconds."""
    last_seen: float
    """Stamp of the last detection, seconds."""
    detection: Detection
    """The last detection."""
    missed: bool = False
    """Whether it was not seen in the last frame."""
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    """Velocity of the centre, pixels per second."""

    def predicted_box(self, stamp: float) -> np.ndarray:
        """Extrapolated bounding box (4,) at `stamp`."""
        box = np.array(self.box)
        box[:2] += self.velocity * min(max(stamp - self.last_seen, 0.0), COASTING)
        return box

    def moved(self, stamp: float) -> 'Track':
        """A copy at its `predicted_box`, with the keypoints moved accordingly."""
        predicted = self.predicted_box(stamp)
        shift = (predicted[:2] - self.box[:2]).astype(np.float32)
        x, y, width, height = predicted.tolist()
        box = x, y, width, height
        return replace(self, box=box, detection=replace(self.detection, box=box,
                                                        keypoints=self.detection.keypoints + shift))

    def see(self, detection: Detection, stamp: float) -> None:
        """Update the track with a detection at `stamp`, seconds."""
        elapsed = stamp - self.last_seen
        if elapsed > 0:
            moved = (np.array(detection.box[:2]) + np.array(detection.box[2:]) / 2
                     - np.array(self.box[:2]) - np.array(self.box[2:]) / 2)
            self.velocity += (1 - np.exp(-elapsed / VELOCITY_MEMORY)) * (moved / elapsed - self.velocity)
        self.box, self.detection, self.last_seen, self.missed = detection.box, detection, stamp, False


class FaceTracker:
    """Assigns detections to tracks.

    Args:
        timeout: seconds after which an unseen face loses its id. May be changed at any time.
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
        """Ids of all living tracks, including those not seen in the last frame."""
        return {track.face_id for track in self._tracks}

    def reset(self) -> None:
        """Discard all tracks; ids assigned afterwards are new."""
        self._tracks = []
        self._stamp = None

    def carried_on(self, stamp: float) -> list[Track]:
        """Copies of the tracks seen in the last `update`, extrapolated to `stamp`, in no particular order."""
        return [track.moved(stamp) for track in self._tracks if not track.missed]

    def expected(self, stamp: float) -> list[Track]:
        """Copies of the living tracks where they are expected at `stamp`, those not seen in the last `update` too."""
        return [track.moved(stamp) for track in self._tracks if abs(stamp - track.last_seen) <= self.timeout]

    def update(self, detections: list[Detection], stamp: float) -> list[Track]:
        """Assign the detections of the next frame.

        Args:
            detections: detections of the frame, in any order.
            stamp: stamp of the frame, seconds. One that is older by more than `timeout` resets the tracker, as does
                one far ahead; smaller steps back count as no elapsed time.

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
            if index in continued:
                track = continued[index]
                track.see(detection, stamp)
            else:
                track = Track(self._new_id(), detection.box, stamp, stamp, detection)
                self._tracks.append(track)
            seen.append(track)
        return seen

    def _assign(self, detections: list[Detection], stamp: float) -> dict[int, Track]:
        if not detections or not self._tracks:
            return {}
        predicted = np.array([track.predicted_box(stamp) for track in self._tracks])
        reach = np.array([REACH + REACH_GROWTH * max(stamp - track.last_seen, 0.0) for track in self._tracks])
        extra = np.array([MISSED_COST if track.missed else 0.0 for track in self._tracks])
        cost = _costs(predicted, np.array([d.box for d in detections]), reach) + extra[:, None]
        # With a uniform cost of impossible pairs, an unmatched face is weighed against two poor matches.
        cost = np.minimum(cost, MAX_COST)
        return {int(column): self._tracks[row] for row, column in _cheapest(cost) if cost[row, column] < MAX_COST}

    def _new_id(self) -> str:
        living = self.living_ids
        while True:
            self._count += 1
            face_id = f'f{self._count}' if self._deterministic else 'f' + ''.join(random.choices(_LETTERS, k=4))
            if face_id not in living:
                return face_id


def _cheapest(cost: np.ndarray) -> list[tuple[int, int]]:
    """Rows and columns of the assignment with the least sum."""
    if 1 in cost.shape:
        return [divmod(int(np.argmin(cost)), cost.shape[1])]
    from scipy.optimize import linear_sum_assignment  # late: it takes 0.3 s to load, and one face does not need it
    return list(zip(*linear_sum_assignment(cost), strict=True))


def _costs(tracks: np.ndarray, detections: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Costs (T, D) of boxes (T, 4) and (D, 4); at least MAX_COST for impossible pairs."""
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
