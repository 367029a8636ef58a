"""One recording whose parts are analysed elsewhere: joins them in order while they come in, and writes the outputs."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from fer_ros.perception.face_follower import FaceFollower
from fer_ros.recordings.ahead import ahead
from fer_ros.recordings.frame_readers import open_reader
from fer_ros.recordings.inputs import Input, InputError
from fer_ros.recordings.joining import Joiner
from fer_ros.recordings.part_results import PartFileError, PartResult, from_bytes
from fer_ros.recordings.parts import Part
from fer_ros.recordings.processing import AHEAD, check_owner, open_outputs, part_store, with_images
from fer_ros.recordings.settings import Settings, pipeline_settings


class RecordingRun:
    """The parts of a recording and what is made of them. `keep` may run beside the other methods, which may not.

    Args:
        item: the recording.
        folder: folder of the outputs.
        settings: settings of the run.
        resume: whether finished parts of an earlier run are used.

    Raises:
        InputError: the input cannot be read, or outputs of another input have its name.
        OSError: an output cannot be written.
        ParquetError: the format is parquet and pyarrow cannot be imported.
    """

    def __init__(self, item: Input, folder: Path, settings: Settings, resume: bool) -> None:
        self.item, self._settings = item, settings
        self._stack = ExitStack()
        try:
            check_owner(item, folder)
            self.size = int(item.identity().get('size', 0))
            """Bytes of the input."""
            self._reader = self._stack.enter_context(closing(open_reader(item, settings.topic)))
            self.parts = self._reader.parts(settings.part_s, settings.seconds, settings.every)
            outputs = self._stack.enter_context(closing(open_outputs(item, folder, settings, self._reader)))
            self._store = part_store(item, folder, settings, resume)
            self._joiner = Joiner(item, settings, FaceFollower(pipeline_settings(settings)), outputs)
        except BaseException:
            self._stack.close()
            raise
        # Drawing needs the images again. They are decoded here, in order: boxes, plot and the encoder all go on from
        # one frame to the next, and decoding takes a tenth of the time of the search.
        self._draws = settings.annotated or item.kind == 'photos'
        self._found: dict[int, bytes] = {}
        """The parts that wait for those before them, packed."""
        self._stored = {part.number for part in self.parts
                        if len(self.parts) > 1 and resume and self._store.load(part) is not None}
        self._next = 0

    @property
    def missing(self) -> list[Part]:
        """The parts that are to be analysed, at the beginning."""
        return [part for part in self.parts if part.number not in self._stored]

    @property
    def expected(self) -> float:
        """Number of frames, possibly an estimate; 0 if unknown."""
        return self._reader.expected / self._settings.every

    @property
    def joined_frames(self) -> int:
        """Number of frames joined so far."""
        return self._joiner.summary.frames

    @property
    def joined_share(self) -> float:
        """Fraction of the recording that was joined, 0 to 1."""
        return self._joiner.share(self._reader.expected)

    @property
    def drawing_share(self) -> float:
        """About how much of the work on the recording is done here."""
        return 0.25 if self._draws else 0.05

    def key(self, part: Part) -> str:
        """What the results of a part depend on."""
        return self._store.key(part)

    def keep(self, part: Part, data: bytes) -> None:
        """Keep a finished part. Raises OSError."""
        if len(self.parts) > 1:
            self._store.save(part, data)
        self._found[part.number] = data

    @property
    def can_join(self) -> bool:
        """Whether the next part is there."""
        return not self.complete and (self._next in self._found or self._next in self._stored)

    @property
    def complete(self) -> bool:
        """Whether everything is joined."""
        return self._next == len(self.parts) or self._joiner.complete

    def join(self, stopped: Callable[[], bool]) -> None:
        """Join the next parts that are there, until `stopped` returns true.

        Raises:
            InputError: a part cannot be read.
            OSError: the outputs cannot be written.
        """
        while self.can_join:
            part = self.parts[self._next]
            result = self._result(part)
            self._joiner.begin_part(result.report)
            frames = with_images(result, part, self._reader if self._draws else None, self._settings)
            with closing(ahead(frames, AHEAD) if self._draws else frames) as found:
                for record, image in found:
                    self._joiner.add(record, image)
                    if self._joiner.complete:
                        break
                    if stopped():
                        return
            self._joiner.end_part(result.report)
            self._next += 1

    def _result(self, part: Part) -> PartResult:
        data = self._found.pop(part.number, None)
        if data is not None:
            try:
                result, key = from_bytes(data)
            except PartFileError as error:
                raise InputError(f'{self.item.shown}: a worker has another version of fer_ros ({error}): install the '
                                 'same one everywhere') from error
            if key != self.key(part):
                raise InputError(f'{self.item.shown}: it was changed while it was processed')
            return result
        stored = self._store.load(part)
        if stored is None:
            raise InputError(f'{self.item.shown}: a finished part was removed while it was processed')
        return stored

    def finish(self) -> dict:
        """Complete the outputs; returns the summary.

        Raises:
            InputError: there was no frame.
            OSError: the outputs cannot be written.
        """
        result = self._joiner.finish()
        self._store.remove()
        return result

    def close(self) -> None:
        """Close input and outputs and keep partial results; no effect on complete ones."""
        self._stack.close()
