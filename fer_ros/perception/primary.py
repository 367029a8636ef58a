"""Selects the primary face among several."""

from collections.abc import Collection

import numpy as np

from fer_ros.parameters import FER_NODE, by_name
from fer_ros.perception.tracking import Track

POLICIES = by_name(FER_NODE)['primary_face'].choices


class PrimaryFace:
    """Selects one face and keeps it for a while.

    Args:
        policy: 'largest' box, 'oldest' track or 'centre' (nearest to the image centre).
        hold: seconds for which another face must rank first before it takes over. Both may be changed at any time.

    Raises:
        ValueError: an unknown policy.
    """

    def __init__(self, policy: str, hold: float):
        self.policy = policy
        self.hold = hold
        self.reset()

    @property
    def policy(self) -> str:
        """The policy by which faces are ranked."""
        return self._policy

    @policy.setter
    def policy(self, policy: str) -> None:
        if policy not in POLICIES:
            raise ValueError(f'unknown primary face policy {policy!r}: choose one of {", ".join(POLICIES)}')
        self._policy = policy

    def reset(self) -> None:
        """Restart without a primary face."""
        self._current: str | None = None
        self._rivalled_since: float | None = None

    def choose(self, seen: list[Track], living: Collection[str], stamp: float, size: tuple[int, int]) -> str | None:
        """Select the primary face of a frame.

        Args:
            seen: the tracks seen in the frame.
            living: ids of all living tracks, including those not seen.
            stamp: stamp of the frame, seconds. The hold time restarts when it jumps back.
            size: (width, height) of the image, pixels.

        Returns:
            face_id of one of `seen`, or None if there is no face or the primary face is not seen in this frame.
        """
        best = min(seen, key=lambda track: self._rank(track, size), default=None)
        best_id = best.face_id if best else None
        if self._current not in living:
            self._take(best_id)
        elif best_id is None or best_id == self._current:
            # Without another face that is seen there is no rival.
            self._rivalled_since = None
        else:
            if self._rivalled_since is None or stamp < self._rivalled_since:
                self._rivalled_since = stamp
            if stamp - self._rivalled_since >= self.hold:
                self._take(best_id)
        return self._current if any(track.face_id == self._current for track in seen) else None

    def _take(self, face_id: str | None) -> None:
        self._current = face_id
        self._rivalled_since = None

    def _rank(self, track: Track, size: tuple[int, int]) -> tuple:
        x, y, width, height = track.box
        ranks = {'largest': -width * height,
                 'oldest': track.first_seen,
                 'centre': float(np.hypot(x + width / 2 - size[0] / 2, y + height / 2 - size[1] / 2))}
        return ranks[self._policy], -width * height, track.face_id
