"""Processes one recording with the pipeline."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_ros.media import rotation
from fer_ros.parameters import FER_NODE, defaults
from fer_ros.perception import PipelineError
from fer_ros.perception.image_problems import ImageProblems
from fer_ros.recordings.cuts import CutDetector
from fer_ros.recordings.frame_readers import FrameReader, PhotoReader, open_reader
from fer_ros.recordings.inputs import Input, InputError
from fer_ros.recordings.output_files import MIN_LIFE, OutputFiles
from fer_ros.recordings.summary import PhotoSummary, Summary
from fer_ros.results.faces import FacesFrame

if TYPE_CHECKING:
    from fer_ros.perception.pipeline import FacePipeline

MOST_RATE = 60.0
"""Maximum frames per second of an annotated video."""
FORMATS = ('csv', 'parquet')
_DEFAULTS = defaults(FER_NODE)


@dataclass(frozen=True)
class Settings:
    """Settings of a run; an input that was finished with the same settings can be skipped."""

    topic: str = ''
    """Image topic of a bag."""
    every: int = 1
    """Only every N-th frame is processed."""
    max_faces: int = _DEFAULTS['max_faces']
    seconds: float = 0.0
    """Seconds from the beginning that are processed; 0: all."""
    rotate: int = _DEFAULTS['rotate']
    """Degrees clockwise by which frames are turned, after what a video says of its own rotation."""
    annotated: bool = False
    model: str = _DEFAULTS['model']
    device: str = _DEFAULTS['device']
    runtime: str = _DEFAULTS['runtime']
    precision: str = 'float32'
    """Not what is fastest here: results must not depend on the processor."""
    detector: str = _DEFAULTS['detector']
    detector_model: str = _DEFAULTS['detector_model']
    format: str = FORMATS[0]
    """One of `FORMATS`: parquet writes the faces as Parquet too."""


def create_pipeline(settings: Settings) -> 'FacePipeline':
    """Create the pipeline of a run.

    Raises:
        PipelineError: the model, the device, the runtime, the detector or the rotation cannot be used as asked.
    """
    # Imported late: torch and MediaPipe take seconds, and a mistake in the arguments should be reported at once.
    from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
    try:
        rotation.check(settings.rotate)
        return FacePipeline(PipelineSettings(
            model=settings.model, device=settings.device, runtime=settings.runtime, precision=settings.precision,
            detector=settings.detector, detector_model=settings.detector_model, max_faces=settings.max_faces))
    except ValueError as error:  # a value out of range
        raise PipelineError(str(error)) from error


class Interrupted(Exception):
    """Processing was interrupted; partial results are kept under the partial names."""


def finished(item: Input, folder: Path, settings: Settings) -> bool:
    """Whether `folder` contains complete outputs of this input with the same settings. Raises OSError."""
    summary, wanted = _summary(folder, item), asdict(settings)
    if not summary:
        return False
    known = {'format': 'csv', **(summary.get('settings') or {})}
    if wanted['format'] == 'csv':  # it is written with each format
        known['format'] = 'csv'
    return summary.get('input') == item.identity() and known == wanted


def _summary(folder: Path, item: Input) -> dict:
    try:
        return json.loads((folder / f'{item.name}.json').read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}


def process(item: Input, folder: Path, settings: Settings, pipeline: 'FacePipeline',
            report: Callable[[int, float], bool] = lambda frames, share: False,
            watch: Callable[[np.ndarray, FacesFrame], None] = lambda image, frame: None,
            complete_interrupted: bool = False, quick: bool = False) -> dict:
    """Classify the faces of a recording and write `OutputFiles`.

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
        quick: somebody waits for the annotated video, as of `OutputFiles`.

    Returns:
        The summary, as in the JSON file; its `warning` reports problems of the input.

    Raises:
        InputError: the input cannot be read, or outputs of another input have its name.
        OSError: an output cannot be written.
        ParquetError: the format is parquet and pyarrow cannot be imported.
        Interrupted: `report` returned true, and the outputs are not to be completed.
    """
    other = _summary(folder, item).get('input', {}).get('path')
    if other is not None and other != item.identity()['path']:
        raise InputError(f'{folder / item.name}.json belongs to {other}: give another --output')
    pipeline.reset()
    with closing(open_reader(item, settings.topic)) as reader:
        rate = min(reader.rate / settings.every, MOST_RATE) if settings.annotated else 0.0
        photos = reader.names if isinstance(reader, PhotoReader) else ()
        with closing(OutputFiles(folder, item.name, 0.0 if photos else rate, photos,
                                 parquet=settings.format == 'parquet', quick=quick)) as outputs:
            summary, seconds, stopped, warning = _read(item, reader, settings, pipeline, outputs, report,
                                                       watch)
            if stopped and item.kind != 'camera' and not complete_interrupted:
                raise Interrupted(item.source)
            if not summary.frames:
                raise InputError(f'{item.source} contains no frame that can be decoded')
            result = {
                'input': item.identity(), 'settings': asdict(settings), 'warning': warning,
                **summary.result(),
                'processing_s': round(seconds, 3), 'frames_per_second': round(summary.frames / seconds, 2),
            }
            outputs.complete(result)
    return result


def _read(item: Input, reader: FrameReader, settings: Settings, pipeline: 'FacePipeline', outputs: OutputFiles,
          report: Callable[[int, float], bool],
          watch: Callable[[np.ndarray, FacesFrame], None]) -> tuple[Summary, float, bool, str]:
    is_photos = item.kind == 'photos'
    summary, start = PhotoSummary() if is_photos else Summary(MIN_LIFE), time.perf_counter()
    stopped, failures, cuts, problems = False, [], CutDetector(), ImageProblems()
    ids: dict[str, str] = {}  # f1, f2, … in each recording, independent of earlier ones
    for frame in reader.frames(settings.every):
        if is_photos:
            pipeline.reset()  # none continues another, and each is searched completely
        if settings.seconds and frame.time_ns >= settings.seconds * 1e9:
            break
        image = rotation.turned(frame.image, settings.rotate)
        if cuts.is_cut(image):
            summary.cuts += 1
            pipeline.reset()
        try:
            result = pipeline.process(image, frame.time_ns * 1e-9)
        except PipelineError as error:
            failures.append(str(error))
            continue
        problems.add(image, result, float(frame.index) if is_photos else frame.time_ns * 1e-9, settings.rotate)
        height, width = image.shape[:2]
        faces = tuple(replace(face, face_id=ids.setdefault(face.face_id, f'f{len(ids) + 1}')) for face in result.faces)
        read = FacesFrame(frame.time_ns, item.source, width, height, faces,
                          ids[result.primary] if result.primary else None)
        watch(image, read)
        outputs.add(frame.index, image, read)
        summary.add(frame.time_ns * 1e-9, faces)
        share = (frame.index + 1) / reader.expected if reader.expected else 0.0
        if settings.seconds:
            share = max(share, frame.time_ns * 1e-9 / settings.seconds)
        if report(summary.frames, min(share, 1.0)):
            stopped = True
            break
    summary.hints = problems.hints
    if failures and not summary.frames:
        raise InputError(f'none of the frames in {item.source} could be processed: {failures[0]}')
    warning = '; '.join(filter(None, (
        f'{len(failures)} frames could not be processed: {failures[0]}' if failures else '', reader.warning)))
    return summary, time.perf_counter() - start, stopped, warning
