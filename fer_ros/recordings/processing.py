"""Processes one recording with the pipeline."""

import json
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_ros.recordings.ahead import ahead
from fer_ros.recordings.frame_readers import FrameReader, PhotoReader, Report, open_reader
from fer_ros.recordings.inputs import Input, InputError
from fer_ros.recordings.output_files import OutputFiles
from fer_ros.recordings.part_results import FrameRecord, PartResult, to_bytes
from fer_ros.recordings.part_store import PartStore
from fer_ros.recordings.parts import Part
from fer_ros.recordings.settings import FORMATS, Settings, create_pipeline
from fer_ros.results.faces import FacesFrame

if TYPE_CHECKING:
    from fer_ros.perception.pipeline import FacePipeline
    from fer_ros.recordings.joining import Joiner

__all__ = ['FORMATS', 'Interrupted', 'Settings', 'create_pipeline', 'finished', 'process']

MOST_RATE = 60.0
"""Maximum frames per second of an annotated video."""
AHEAD = 3
"""Frames that are analysed while earlier ones are drawn and encoded, which takes about as long."""


class Interrupted(Exception):
    """Processing was interrupted; partial results are kept under the partial names."""


def finished(item: Input, folder: Path, settings: Settings) -> bool:
    """Whether `folder` contains complete outputs of this input with the same settings. Raises OSError."""
    summary, wanted = _summary(folder, item), asdict(settings)
    if not summary:
        return False
    known = {'format': 'csv', 'part_s': wanted['part_s'], 'hwaccel': '', **(summary.get('settings') or {})}
    if wanted['format'] == 'csv':  # it is written with each format
        known['format'] = 'csv'
    return summary.get('input') == item.identity() and known == wanted


def _summary(folder: Path, item: Input) -> dict:
    try:
        return json.loads((folder / f'{item.name}.json').read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}


def check_owner(item: Input, folder: Path) -> None:
    """Refuse to replace the outputs of another input. Raises InputError, OSError."""
    other = _summary(folder, item).get('input', {}).get('path')
    if other is not None and other != item.identity()['path']:
        raise InputError(f'{folder / item.name}.json belongs to {other}: give another --output')


def open_outputs(item: Input, folder: Path, settings: Settings, reader: FrameReader,
                 quick: bool = False) -> OutputFiles:
    """The output files of a recording; `quick` as of `OutputFiles`. Raises OSError, ParquetError."""
    photos = reader.names if isinstance(reader, PhotoReader) else ()
    rate = min(reader.rate / settings.every, MOST_RATE) if settings.annotated and not photos else 0.0
    return OutputFiles(folder, item.name, rate, photos, settings.format == 'parquet', quick)


def part_store(item: Input, folder: Path, settings: Settings, resume: bool) -> PartStore:
    """Where the finished parts of a recording are kept. Raises OSError."""
    irrelevant = ('annotated', 'format')
    return PartStore(folder, item.name, {'input': item.identity(), 'settings': {
        name: value for name, value in asdict(settings).items() if name not in irrelevant}}, resume)


def process(item: Input, folder: Path, settings: Settings, pipeline: 'FacePipeline',
            report: Callable[[int, float], bool] = lambda frames, share: False,
            watch: Callable[[np.ndarray, FacesFrame], None] | None = None,
            complete_interrupted: bool = False, store: PartStore | None = None, quick: bool = False) -> dict:
    """Classify the faces of a recording and write `OutputFiles`.

    It is done part by part as several processes would do it, with the same results.

    Args:
        item: the recording.
        folder: folder of the outputs.
        settings: settings of the run.
        pipeline: the pipeline; it is reset.
        report: called after each frame with the number of processed frames and the fraction done (0 to 1); if it
            returns true, processing is interrupted.
        watch: called with each frame, turned, uint8 (H, W, 3) BGR, and its faces, before they are written; may change
            the image that is written.
        complete_interrupted: after an interruption, complete the outputs with what was processed, as for a camera.
        store: where finished parts are kept, so that an interrupted recording can be resumed; not of a camera.
        quick: somebody waits for the annotated video, as of `OutputFiles`.

    Returns:
        The summary, as in the JSON file; its `warning` reports problems of the input.

    Raises:
        InputError: the input cannot be read, or outputs of another input have its name.
        OSError: an output cannot be written.
        ParquetError: the format is parquet and pyarrow cannot be imported.
        Interrupted: `report` returned true, and the outputs are not to be completed.
    """
    from fer_ros.recordings.joining import Joiner  # late, as the pipeline: what it imports takes time
    check_owner(item, folder)
    with closing(open_reader(item, settings.topic, settings.hwaccel)) as reader:
        parts = reader.parts(settings.part_s, settings.seconds, settings.every)
        with closing(open_outputs(item, folder, settings, reader, quick)) as outputs:
            joiner = Joiner(item, settings, pipeline.follower, outputs, watch or (lambda image, frame: None))
            draws = settings.annotated or watch is not None
            source = _Source(reader, settings, pipeline, None if len(parts) < 2 else store,
                             draws or item.kind == 'photos', draws and item.kind in ('video', 'bag'))
            if _join(joiner, source, parts, report) and item.kind != 'camera' and not complete_interrupted:
                raise Interrupted(item.shown)
            result = joiner.finish()
    if store is not None:
        store.remove()
    return result


def _join(joiner: 'Joiner', source: '_Source', parts: tuple[Part, ...],
          report: Callable[[int, float], bool]) -> bool:
    """Whether `report` has interrupted it."""
    for part in parts:
        joiner.begin_part(source.reader.report())
        stopped, before = False, joiner.summary.frames
        with closing(source.frames(part)) as frames:
            for record, image in frames:
                joiner.add(record, image)
                if joiner.summary.frames > before:
                    before = joiner.summary.frames
                    stopped = report(before, joiner.share(source.reader.expected))
                if joiner.complete or stopped:
                    break
        joiner.end_part(source.report)
        if joiner.complete or stopped:
            return stopped
    return False


class _Source:
    """The records of the parts with their images, made now or in an earlier run.

    With `run_ahead` the heavy half works in a thread of its own.
    """

    def __init__(self, reader: FrameReader, settings: Settings, pipeline: 'FacePipeline', store: PartStore | None,
                 with_images: bool, run_ahead: bool) -> None:
        self.reader = reader
        self._settings, self._pipeline, self._store = settings, pipeline, store
        self._with_images, self._run_ahead = with_images, run_ahead
        self.report: Report = {}
        """Of the reader, at the last frame of `frames`."""

    def frames(self, part: Part) -> Generator[tuple[FrameRecord, np.ndarray | None], None, None]:
        made = self._made(part)
        with closing(ahead(made, AHEAD) if self._run_ahead else made) as found:
            for frame, self.report in found:
                if frame is not None:
                    yield frame

    def _made(self, part: Part) -> Generator[tuple[tuple[FrameRecord, np.ndarray | None] | None, Report], None, None]:
        """The frames with the report up to each, and the last report."""
        from fer_ros.recordings.part_analysis import analysed
        stored = None if self._store is None else self._store.load(part)
        if stored is not None:
            for frame in with_images(stored, part, self.reader if self._with_images else None, self._settings):
                yield frame, stored.report
            yield None, stored.report
            return
        records = []
        for record, image in analysed(self.reader, part, self._settings, self._pipeline.analyser):
            if self._store is not None:
                records.append(record)
            yield (record, image), self.reader.report()
        if self._store is not None:
            result = PartResult(part.number, tuple(records), self.reader.report())
            self._store.save(part, to_bytes(result, self._store.key(part)))
        yield None, self.reader.report()


def with_images(result: PartResult, part: Part, reader: FrameReader | None,
                settings: Settings) -> Generator[tuple[FrameRecord, np.ndarray | None], None, None]:
    """Yield the records of a part, with their images read again if there is a reader."""
    from fer_ros.recordings.part_analysis import images
    if reader is None:
        for record in result.frames:
            yield record, None
        return
    with closing(images(reader, part, settings)) as again:
        yield from zip(result.frames, again, strict=False)
