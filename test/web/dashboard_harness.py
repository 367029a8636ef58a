"""The dashboard as a process of its own, and what the node `fer` would tell it, over real DDS."""

import re
import time
from pathlib import Path

from harness import PATIENCE, Program, Robot

from fer_ros.emotions import EMOTIONS, valence
from fer_ros.faces import FaceEmotion, FacesFrame, encode

URL = re.compile(r'the page is at (http://\S+)')


class Dashboard(Program):
    """The node `dashboard` on a free port, with parameters as keywords; ends with the `with` block."""

    def __init__(self, log: Path, *arguments: str, **parameters):
        parameters.setdefault('port', 0)
        super().__init__(log, *arguments, module='fer_ros.nodes.dashboard', **parameters)

    @property
    def url(self) -> str:
        """Where the page is, once it is served."""
        end = time.monotonic() + PATIENCE
        while (found := URL.search(self.log)) is None:
            assert self.process.poll() is None and time.monotonic() < end, self.log
            time.sleep(0.05)
        return found[1]


def face(face_id: str, happy: float, raw_happy: float | None = None, box=(100.0, 80.0, 120.0, 120.0)) -> FaceEmotion:
    """A face that is happy with this probability and else sad."""
    def probabilities(p: float) -> tuple[float, ...]:
        return tuple({'happy': p, 'sad': 1 - p}.get(emotion, 0.0) for emotion in EMOTIONS)
    smoothed = probabilities(happy)
    raw = smoothed if raw_happy is None else probabilities(raw_happy)
    return FaceEmotion(face_id, box, smoothed, 'happy' if happy >= 0.5 else 'sad', max(happy, 1 - happy),
                       float(valence(smoothed)), float(valence(raw)))


def faces_json(stamp_ns: int, *faces: FaceEmotion, primary: str | None = None) -> str:
    """A ``~/faces`` message of a 640×480 image."""
    return encode(FacesFrame(stamp_ns, 'camera', 640, 480, faces, primary or (faces[0].face_id if faces else None)))


__all__ = ['PATIENCE', 'Dashboard', 'Robot', 'face', 'faces_json']
