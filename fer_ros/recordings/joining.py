"""The light half of a recording: joins the records of its parts, in order, to faces with ids and smoothed emotions."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter

import numpy as np

from fer_ros.perception.face_follower import FaceFollower
from fer_ros.perception.image_problems import ImageProblems
from fer_ros.recordings.frame_readers import Report, refusal_of, times_of, warning_of
from fer_ros.recordings.inputs import Input, InputError
from fer_ros.recordings.output_files import MIN_LIFE, OutputFiles
from fer_ros.recordings.part_results import FrameRecord
from fer_ros.recordings.settings import Settings
from fer_ros.recordings.summary import PhotoSummary, Summary
from fer_ros.recordings.time_line import FileTimes, GivenTimes, TimeLine
from fer_ros.results.faces import FacesFrame, numbered

Watch = Callable[[np.ndarray, FacesFrame], None]


@dataclass(frozen=True, eq=False)
class _Entry:
    """A frame on its way through the time line."""

    record: FrameRecord
    index: int
    """Number of the frame in the recording."""
    image: np.ndarray | None

    @property
    def stamp_ns(self) -> int:
        return self.record.stamp_ns

    @property
    def recorded_ns(self) -> int:
        return self.record.recorded_ns


class Joiner:
    """Joins the frames of one recording, which are given in their order.

    Args:
        item: the recording.
        settings: settings of the run.
        follower: is reset.
        outputs: what is written.
        watch: called with each image, if there is one, and its faces before they are written; may change the image.
    """

    def __init__(self, item: Input, settings: Settings, follower: FaceFollower, outputs: OutputFiles,
                 watch: Watch = lambda image, frame: None) -> None:
        self._item, self._settings, self._follower, self._outputs = item, settings, follower, outputs
        self._watch = watch
        self._photos = item.kind == 'photos'
        self.summary = PhotoSummary() if self._photos else Summary(MIN_LIFE)
        self._problems = ImageProblems(rotate=settings.rotate)
        self._failures: list[str] = []
        self._ids: dict[str, str] = {}  # f1, f2, … in each recording, independent of earlier ones
        self._start = perf_counter()
        self._reports: list[Report] = []
        self._base = 0
        self._given_times: TimeLine | FileTimes | GivenTimes | None = None
        self.complete = False
        """Whether the seconds of the recording that are wanted have been joined."""
        self.index = -1
        """Number of the last frame in the recording."""
        self.time_s = 0.0
        """Its seconds since the first frame."""
        follower.reset()

    def begin_part(self, report: Report) -> None:
        """Begin the next part; `report` is that of its reader, as far as it is known."""
        self._given_times = self._given_times or times_of(report, self._settings.every)

    @property
    def _times(self) -> TimeLine | FileTimes | GivenTimes:
        assert self._given_times is not None, 'there is no part'
        return self._given_times

    def add(self, record: FrameRecord, image: np.ndarray | None = None) -> None:
        """Add the next frame of the part; its image is needed only by annotated videos, contact sheets and `watch`.

        Raises:
            OSError: the outputs cannot be written.
        """
        for entry, time_ns in self._times.push(_Entry(record, self._base + record.index, image)):
            if self._settings.seconds and time_ns >= self._settings.seconds * 1e9:
                self.complete = True
            if not self.complete:
                self._frame(entry, time_ns)

    def end_part(self, report: Report) -> None:
        """End the part; `report` is that of its reader."""
        self._reports.append(report)
        self._base += report['count']
        if isinstance(self._times, TimeLine):
            self._times.count_late(report['late'])

    def _frame(self, entry: _Entry, time_ns: int) -> None:
        record, seen = entry.record, entry.record.seen
        self.summary.cuts += record.cut
        if record.cut or self._photos:
            self._follower.reset()
        if seen is None:
            self._failures.append(record.error)
            return
        result = self._follower.follow(seen, time_ns * 1e-9)
        if record.look is not None:
            self._problems.add_look(record.look, result)
        faces = numbered(result.faces, self._ids)
        frame = FacesFrame(time_ns, self._item.shown, seen.width, seen.height, faces,
                           self._ids[result.primary] if result.primary else None)
        if entry.image is not None:
            self._watch(entry.image, frame)
        self._outputs.add(entry.index, entry.image, frame)
        self.summary.add(time_ns * 1e-9, faces)
        self.index, self.time_s = entry.index, time_ns * 1e-9

    def share(self, expected: float) -> float:
        """Fraction of the recording that was joined, 0 to 1; `expected` is its number of frames, 0 if unknown."""
        share = (self.index + 1) / expected if expected else 0.0
        if self._settings.seconds:
            share = max(share, self.time_s / self._settings.seconds)
        return min(share, 1.0)

    def finish(self) -> dict:
        """Complete the outputs; returns the summary.

        Raises:
            InputError: there was no frame.
            OSError: the outputs cannot be written.
        """
        self._times.finish()
        seconds, summary = perf_counter() - self._start, self.summary
        warning = warning_of(self._item.shown, self._reports, self._times.problems)
        if not summary.frames:
            raise InputError(self._refusal(warning))
        summary.hints = self._problems.hints
        failed = (f'{len(self._failures)} frames could not be processed: {self._failures[0]}' if self._failures else '')
        result = {
            'input': self._item.identity(), 'settings': asdict(self._settings),
            'warning': '; '.join(filter(None, (failed, warning))), **summary.result(),
            'processing_s': round(seconds, 3), 'frames_per_second': round(summary.frames / seconds, 2),
        }
        self._outputs.complete(result)
        return result

    def _refusal(self, warning: str) -> str:
        if self._failures:
            return f'none of the frames in {self._item.shown} could be processed: {self._failures[0]}'
        return (refusal_of(self._item.shown, self._reports, warning)
                or f'{self._item.shown} contains no frame that can be decoded')
