"""The sessions of a study."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class StudySession:
    """What is kept of a session, so that a study of hundreds of hours fits into memory."""

    name: str
    summary: Mapping
    """As `fer_ros.results.session_summary.summarise` returns it."""
    line: list[np.ndarray]
    """Valence over time, the mean of all faces: arrays (N, 2) of seconds and valences, split at gaps."""
    end_s: float
    """Seconds of the last frame."""
    photos: int = 0
    """Number of photos; 0 for a recording."""
    warning: str = ''
    """What was wrong with the recording."""


@dataclass
class Study:
    """The sessions, and what could not be taken for one."""

    sessions: list[StudySession] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    """Names of recordings that were interrupted."""
    foreign: list[str] = field(default_factory=list)
    """Names of files of other programs."""
    damaged: list[str] = field(default_factory=list)
    """One line for each file that process_video has not written so."""
