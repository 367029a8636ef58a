"""Settings of the pipelines; every default is that of the node parameter."""

from dataclasses import dataclass, fields
from pathlib import Path

from fer_ros.parameters import FER_NODE, by_name, defaults, problem

_DEFAULTS = defaults(FER_NODE)


@dataclass(frozen=True)
class PipelineSettings:
    """Names, meaning, units, ranges and defaults are those of `fer_ros.parameters.FER_NODE`."""

    model: str | Path = _DEFAULTS['model']
    device: str = _DEFAULTS['device']
    runtime: str = _DEFAULTS['runtime']
    precision: str = _DEFAULTS['precision']
    threads: int = _DEFAULTS['threads']
    detector: str = _DEFAULTS['detector']
    detector_model: str | Path = _DEFAULTS['detector_model']
    detection_confidence: float = _DEFAULTS['detection_confidence']
    search_looks: int = _DEFAULTS['search_looks']
    yunet_side: int = _DEFAULTS['yunet_side']
    detect_every: int = _DEFAULTS['detect_every']
    still_period: float = _DEFAULTS['still_period']
    max_faces: int = _DEFAULTS['max_faces']
    max_faces_per_frame: int = _DEFAULTS['max_faces_per_frame']
    track_timeout: float = _DEFAULTS['track_timeout']
    half_life: float = _DEFAULTS['half_life']
    min_quality: float = _DEFAULTS['min_quality']
    primary_face: str = _DEFAULTS['primary_face']
    primary_hold: float = _DEFAULTS['primary_hold']
    deterministic_ids: bool = False
    """Ids f1, f2, … in order of appearance, for tests and recordings to compare."""


STRUCTURAL = ('model', 'device', 'runtime', 'precision', 'threads', 'detector', 'detector_model', 'yunet_side',
              'deterministic_ids')
"""Settings that require a new pipeline; the others can be changed at any time."""


def check(settings: PipelineSettings) -> None:
    """Check the ranges and choices of settings.

    Raises:
        ValueError: a setting is out of range; the message names both.
    """
    table = by_name(FER_NODE)
    for field in fields(settings):
        parameter = table.get(field.name)
        if parameter is None or (field.name in STRUCTURAL and parameter.choices):
            continue  # choices of structural settings are checked where they are used, with the remedy
        if text := problem(parameter, getattr(settings, field.name)):
            raise ValueError(text)
