"""The heavy half of a recording: from the frames of a part to their records."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from fer_ros.media import rotation
from fer_ros.perception import PipelineError
from fer_ros.perception.image_problems import Schedule, look_at
from fer_ros.perception.seen_frame import SeenFrame
from fer_ros.recordings.cuts import CutDetector
from fer_ros.recordings.frame_readers import FrameReader, PartFrame, PhotoReader
from fer_ros.recordings.part_results import FrameRecord
from fer_ros.recordings.parts import Part
from fer_ros.recordings.settings import Settings

if TYPE_CHECKING:
    from fer_ros.perception.frame_analyser import FrameAnalyser


def analysed(reader: FrameReader, part: Part, settings: Settings,
             analyser: 'FrameAnalyser') -> Iterator[tuple[FrameRecord, np.ndarray]]:
    """Yield the record and the image of each frame of a part; nothing before its warm-up has any influence.

    Args:
        reader: of the recording.
        part: the part.
        settings: settings of the run.
        analyser: is reset.

    Raises:
        InputError: the recording cannot be read.
    """
    return _Analysis(reader, part, settings, analyser).frames()


class _Analysis:
    def __init__(self, reader: FrameReader, part: Part, settings: Settings, analyser: 'FrameAnalyser') -> None:
        self._reader, self._part, self._settings, self._analyser = reader, part, settings, analyser
        self._photos = isinstance(reader, PhotoReader)
        self._schedule = Schedule()

    def frames(self) -> Iterator[tuple[FrameRecord, np.ndarray]]:
        cuts, seconds, begun = CutDetector(), self._settings.seconds, self._part.warm_ns is None
        self._analyser.reset()
        for frame in self._reader.part(self._part, self._settings.every):
            # Only the first part knows when the recording began.
            if seconds and self._part.begin_ns is None and frame.time_ns >= seconds * 1e9:
                return
            image = rotation.turned(frame.image, self._settings.rotate)
            cut = False if self._photos else cuts.is_cut(image)
            if cut or self._photos:  # no photo continues another, and each is searched completely
                self._analyser.reset()
            if frame.before:
                with suppress(PipelineError):  # the part before tells about it
                    self._analyser.warm_up(image, frame.time_ns * 1e-9)
                continue
            if not begun:
                begun = True
                self._analyser.search_next()
            yield self._record(frame, image, cut), image

    def _record(self, frame: PartFrame, image: np.ndarray, cut: bool) -> FrameRecord:
        time_s = frame.time_ns * 1e-9
        seen: SeenFrame | None = None
        look, error = None, ''
        try:
            seen = self._analyser.analyse(image, time_s)
        except PipelineError as failure:
            error = str(failure)
        else:
            if self._schedule.passed(float(frame.index) if self._photos else time_s) is not None:
                look = look_at(image, [face.box for face in seen.faces])
        return FrameRecord(frame.index, frame.stamp_ns, frame.recorded_ns, cut, seen, look, error)


def images(reader: FrameReader, part: Part, settings: Settings) -> Generator[np.ndarray, None, None]:
    """Yield the images of the frames of a part again, as `analysed` does."""
    for frame in reader.part(part, settings.every):
        if not frame.before:
            yield rotation.turned(frame.image, settings.rotate)
