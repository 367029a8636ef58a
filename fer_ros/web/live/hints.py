"""What people in front of the camera can do so that their faces are seen better."""

from collections import deque
from collections.abc import Sequence
from math import sqrt

from fer_ros.drawing.annotate import FAINT
from fer_ros.perception.image_problems import MOST, SMALL
from fer_ros.results.faces import FaceEmotion, FacesFrame
from fer_ros.web.texts import Hints

PERIOD = 1.5
"""Seconds over which faces are judged: a hint that flickers with single frames cannot be read."""
CUT = 0.25
"""Share of the box beyond the image from which on a face is told to be cut off."""
SEEN_BADLY = ('image too dark', 'image overexposed', 'faces blurred', 'faces stand on their side')
"""Beginnings of image problems of `fer` that explain a low quality of any face; that of small faces is told by size."""


def weakness(face: FaceEmotion, width: int, height: int) -> str | None:
    """Why a face in an image of width × height pixels is hard to see: small, cut or turned; None if it is not.

    The quality is one number, to which pose and border contribute among others. So a face counts as turned if the
    quality is low and neither its size nor the border explains it.
    """
    x, y, w, h = face.box
    if sqrt(max(w * h, 0.0)) < SMALL:
        return 'small'
    if face.quality >= FAINT:
        return None
    inside = max(min(x + w, width) - max(x, 0.0), 0.0) * max(min(y + h, height) - max(y, 0.0), 0.0)
    return 'cut' if inside < (1 - CUT) * w * h else 'turned'


class FaceHints:
    """Remembers the weaknesses of the last `PERIOD` seconds of frames."""

    def __init__(self) -> None:
        self._frames: deque[tuple[int, dict[str, str | None]]] = deque()

    def add(self, frame: FacesFrame) -> None:
        """Report the faces of a frame."""
        self._frames.append((frame.stamp_ns, {face.face_id: weakness(face, frame.width, frame.height)
                                              for face in frame.faces}))
        while abs(frame.stamp_ns - self._frames[0][0]) > PERIOD * 1e9:
            self._frames.popleft()

    def now(self, problems: Sequence[str]) -> list[str]:
        """One line for each hint: first those about the image, then those about the faces of the last frame.

        Args:
            problems: image problems that `fer` reports, as of `fer_ros.perception.image_problems`.
        """
        texts = dict(Hints.of_image)
        found = [next((text for begin, text in texts.items() if problem.startswith(begin)), problem)
                 for problem in problems]
        explained = any(problem.startswith(SEEN_BADLY) for problem in problems)
        present = self._frames[-1][1] if self._frames else {}
        for face_id in present:
            told = [weaknesses[face_id] for _, weaknesses in self._frames if face_id in weaknesses]
            name = max(set(told) - {None}, key=told.count, default=None)
            if name is None or len(told) - told.count(None) <= MOST * len(told) or (name == 'turned' and explained):
                continue
            if name == 'small' and any(problem.startswith('faces too small') for problem in problems):
                continue  # said of all
            template = getattr(Hints, name if len(present) > 1 else f'{name}_only')
            found.append(template.format(face=face_id))
        return found
