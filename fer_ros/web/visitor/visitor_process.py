"""The process of one visitor: finds the faces in the images of one camera, within limits, and keeps none of them.

``python -m fer_ros.web.visitor.visitor_process SETTINGS`` is started by `fer_ros.web.visitor.visitors`. It reads JPEG
images from standard input, each after its length (4 bytes, the highest first), and answers each with a line of JSON:

    {"ready": true, "confined": …}           once, at the beginning: images may be sent; whether the kernel confines it
    {"line": …, "picture": …}                its faces, as `fer_ros.web.face_lines.FaceLines` describes them, and, if
                                             faces are hidden, the image as a JPEG in base64, otherwise an empty text
    {"refused": reason}                      a name in `fer_ros.web.texts.VisitorErrors`

It ends when its standard input is closed, that is, with the program that started it.
"""

import base64
import json
import os
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np

from fer_ros.drawing.hidden_faces import FaceHider
from fer_ros.media.image_decoding import ConversionError, header
from fer_ros.perception import PipelineError
from fer_ros.results.faces import FacesFrame, numbered
from fer_ros.web.confined.confinement import bound_resources, confine
from fer_ros.web.face_lines import FaceLines
from fer_ros.web.video.job_process import Refused, libraries, load

if TYPE_CHECKING:
    from fer_ros.perception.pipeline import FacePipeline

LENGTH = struct.Struct('>I')
"""Before each image: its number of bytes."""
LOG = 1 << 20
"""Maximum bytes of a file that the process writes: its standard error is the only one."""
QUALITY = 75
"""Of images with hidden faces."""


@dataclass(frozen=True)
class Settings:
    """Of the process."""

    folder: str
    """An empty folder, the only one in which it could write."""
    memory: int
    """Maximum bytes of data."""
    niceness: int
    """Niceness added to that of the program."""
    size: int
    """Maximum bytes of an image."""
    pixels: int
    """Maximum number of pixels of an image."""
    hide_faces: str
    """How faces are hidden in the images that are sent back: none (none is sent), blur or cover."""


class Analysis:
    """From the images of one camera to answers.

    Args:
        pipeline: used by nobody else.
        settings: of the process.
        clock: seconds, monotonic; images are seen when they arrive.
    """

    def __init__(self, pipeline: 'FacePipeline', settings: Settings, clock: Callable[[], float]) -> None:
        self._pipeline, self._settings, self._clock = pipeline, settings, clock
        self._hider = None if settings.hide_faces == 'none' else FaceHider(settings.hide_faces)
        self._lines = FaceLines(again=True)
        self._ids: dict[str, str] = {}
        self._first: float | None = None
        pipeline.reset()

    def __call__(self, jpeg: bytes) -> dict:
        """The answer to an image."""
        now = self._clock()
        try:
            image = decoded(jpeg, self._settings.pixels)
            result = self._pipeline.process(image, now)
        except Refused as refused:
            return {'refused': str(refused)}
        except PipelineError as error:
            print(error, file=sys.stderr)
            return {'refused': 'failed'}
        self._first = now if self._first is None else self._first
        height, width = image.shape[:2]
        frame = FacesFrame(round(now * 1e9), 'visitor', width, height, numbered(result.faces, self._ids))
        return {'line': self._lines(frame, now - self._first), 'picture': self._picture(image, frame)}

    def _picture(self, image: np.ndarray, frame: FacesFrame) -> str:
        if self._hider is None:
            return ''
        self._hider.add(frame)
        self._hider.hide(image)
        data = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1]
        return base64.b64encode(data.data).decode()


def decoded(jpeg: bytes, pixels: int) -> np.ndarray:
    """The image, uint8 (H, W, 3) BGR.

    Raises:
        Refused: it is no JPEG, damaged, or has more than so many pixels.
    """
    try:
        (width, height), _ = header(jpeg, ('JPEG',))
    except ConversionError as error:
        raise Refused('no_picture') from error
    if width * height > pixels:
        raise Refused('too_large')
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise Refused('no_picture')
    return image


def _read(file: BinaryIO, most: int) -> bytes | None:
    """The next image; None at the end."""
    head = file.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    size, = LENGTH.unpack(head)
    if size > most:
        raise ValueError(f'an image of {size} bytes')
    data = file.read(size)
    return data if len(data) == size else None


def main() -> None:
    """Entry point."""
    settings = Settings(**json.loads(sys.argv[1]))
    answers = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    os.dup2(2, 1)  # libraries print to standard output

    def tell(**answer: object) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    bound_resources(memory=settings.memory, file_size=LOG, niceness=settings.niceness)
    try:
        pipeline = load()
    except Refused as refused:
        print(refused.values.get('problem', refused), file=sys.stderr)
        tell(refused='failed')
        return
    with pipeline:
        tell(ready=True, confined=confine(Path(settings.folder), libraries()))
        analysis = Analysis(pipeline, settings, time.monotonic)
        while (jpeg := _read(sys.stdin.buffer, settings.size)) is not None:
            tell(**analysis(jpeg))


if __name__ == '__main__':
    main()
