"""Takes turns where there are more faces than the network may classify in one frame."""

from collections.abc import Collection, Sequence

import numpy as np

from fer_ros.emotions import EMOTIONS
from fer_ros.perception.recognition import EmotionRecognizer


class TurnTaking:
    """The network, and when it classified each face.

    A new face is classified in its first frame. After that the first face of every frame, the largest, always has its
    turn if there are at least two, and the others share the rest: who has waited longest comes first.

    Args:
        recognizer: the network.
        most: maximum number of faces per frame that are not new; 0: no limit. May be changed at any time.
    """

    def __init__(self, recognizer: EmotionRecognizer, most: int):
        self.most = most
        self._recognizer = recognizer
        self._frame = 0
        self._known: dict[str, tuple[int, np.ndarray]] = {}

    def probabilities(self, face_ids: Sequence[str], crops: np.ndarray,
                      living: Collection[str]) -> tuple[np.ndarray, list[bool]]:
        """Classify the faces of the next frame whose turn it is.

        Args:
            face_ids: ids of the N faces, the largest first.
            crops: uint8 (N, 48, 48) grey.
            living: ids of all faces; others are forgotten.

        Returns:
            float32 (N, 7) probabilities, the last ones for a face whose turn it is not; and whose turn it is.

        Raises:
            RecognizerError: the device fails on this batch.
        """
        if not self.most:
            self._known.clear()
            return self._recognizer.probabilities(crops), [True] * len(face_ids)
        turns = self._turns(face_ids)
        result = np.empty((len(face_ids), len(EMOTIONS)), np.float32)
        result[turns] = self._recognizer.probabilities(crops[turns])
        self._frame += 1
        for i, face_id in enumerate(face_ids):
            if turns[i]:
                self._known[face_id] = self._frame, result[i].copy()
            else:
                result[i] = self._known[face_id][1]
        self._known = {face_id: known for face_id, known in self._known.items() if face_id in living}
        return result, turns.tolist()

    def _turns(self, face_ids: Sequence[str]) -> np.ndarray:
        """Whose turn it is, bool (N,)."""
        turns = np.array([face_id not in self._known for face_id in face_ids], bool)
        waiting = sorted(np.flatnonzero(~turns).tolist(), key=lambda i: self._known[face_ids[i]][0])
        if self.most > 1 and 0 in waiting:
            waiting.remove(0)
            waiting.insert(0, 0)
        turns[waiting[:max(0, self.most - int(turns.sum()))]] = True
        return turns

    def reset(self) -> None:
        """Forget all faces."""
        self._known.clear()
