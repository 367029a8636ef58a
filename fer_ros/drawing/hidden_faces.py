"""Makes faces unrecognisable in images of people who should not be recognised."""

import threading
from collections import deque

import cv2
import numpy as np

from fer_ros.results.faces import FacesFrame

WAYS = ('blur', 'cover')
MARGIN = 0.3
"""By how much of its size a box is extended on each side, over hair and chin."""
HOLD = 1.0
"""Seconds for which a place stays hidden after a face was found there: a detector misses faces in single frames."""
CELLS = 6
"""Number of areas across a blurred face: too few to recognise anybody."""
_GREY = 128


class FaceHider:
    """Hides the faces of a sequence of frames; `add` and `hide` may be called by different threads.

    A face is hidden from the first frame on in which it is found; one that is never found is not hidden.

    Args:
        way: one of `WAYS`.

    Raises:
        ValueError: `way` is none of them.
    """

    def __init__(self, way: str) -> None:
        if way not in WAYS:
            raise ValueError(f'faces can be hidden by {" or ".join(WAYS)}, not by {way!r}')
        self._way = way
        self._lock = threading.Lock()
        self._frames: deque[FacesFrame] = deque()

    @property
    def last(self) -> FacesFrame | None:
        """The frame added last."""
        return self._frames[-1] if self._frames else None

    def add(self, frame: FacesFrame) -> None:
        """Add the faces of a frame; those of the last `HOLD` seconds are kept."""
        with self._lock:
            self._frames.append(frame)
            while abs(frame.stamp_ns - self._frames[0].stamp_ns) > HOLD * 1e9:
                self._frames.popleft()

    def hide(self, image: np.ndarray) -> None:
        """Hide the faces of the frames kept in `image`, uint8 (H, W, 3), in place."""
        with self._lock:
            boxes = [(frame, face.box) for frame in self._frames for face in frame.faces]
        height, width = image.shape[:2]
        whole = image.copy() if self._way == 'blur' else image
        for frame, (x, y, w, h) in boxes:
            scale_x, scale_y = width / max(frame.width, 1), height / max(frame.height, 1)
            left, right = (round(np.clip(v * scale_x, 0, width)) for v in (x - MARGIN * w, x + w + MARGIN * w))
            top, bottom = (round(np.clip(v * scale_y, 0, height)) for v in (y - MARGIN * h, y + h + MARGIN * h))
            if right <= left or bottom <= top:
                continue
            if self._way == 'cover':
                image[top:bottom, left:right] = _GREY
            else:
                cells = (min(CELLS, right - left), min(CELLS, bottom - top))
                small = cv2.resize(whole[top:bottom, left:right], cells, interpolation=cv2.INTER_AREA)
                image[top:bottom, left:right] = cv2.resize(small, (right - left, bottom - top),
                                                           interpolation=cv2.INTER_LINEAR)
