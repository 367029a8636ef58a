"""The settings of a run, and the pipeline that they ask for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from fer_ros.media import hardware_decoding, rotation
from fer_ros.media.pyav import PyAvMissing
from fer_ros.parameters import FER_NODE, defaults
from fer_ros.perception import PipelineError

if TYPE_CHECKING:
    from fer_ros.perception.frame_analyser import FrameAnalyser
    from fer_ros.perception.pipeline import FacePipeline
    from fer_ros.perception.settings import PipelineSettings

Created = TypeVar('Created')
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
    part_s: float = 60.0
    """Seconds of the parts into which a long recording is cut."""
    hwaccel: str = ''
    """Kind of device that decodes video, by FFmpeg's name; empty: the processor."""


def create_pipeline(settings: Settings) -> 'FacePipeline':
    """Create the pipeline of a run.

    Raises:
        PipelineError: the model, a device, the runtime, the detector or the rotation cannot be used as asked.
    """
    # Imported late: torch and MediaPipe take seconds, and a mistake in the arguments should be reported at once.
    from fer_ros.perception.pipeline import FacePipeline
    return _created(FacePipeline, settings)


def create_analyser(settings: Settings) -> 'FrameAnalyser':
    """Create the heavy half of the pipeline of a run.

    Raises:
        PipelineError: as `create_pipeline`.
    """
    from fer_ros.perception.frame_analyser import FrameAnalyser
    return _created(FrameAnalyser, settings)


def _created(kind: Callable[['PipelineSettings'], Created], settings: Settings) -> Created:
    try:
        hardware_decoding.check(settings.hwaccel)
        return kind(pipeline_settings(settings))
    except (ValueError, PyAvMissing) as error:  # a value out of range, or a decoder that is not here
        raise PipelineError(str(error)) from error


def pipeline_settings(settings: Settings) -> 'PipelineSettings':
    """The settings of the pipeline. Raises ValueError for another rotation than those of `fer_ros.media.rotation`."""
    from fer_ros.perception.settings import PipelineSettings
    rotation.check(settings.rotate)
    return PipelineSettings(
        model=settings.model, device=settings.device, runtime=settings.runtime, precision=settings.precision,
        detector=settings.detector, detector_model=settings.detector_model, max_faces=settings.max_faces)
