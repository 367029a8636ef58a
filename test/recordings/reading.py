"""Reads a recording as a run with one part does."""

from dataclasses import dataclass

import numpy as np

from fer_ros.recordings.frame_readers import open_reader, refusal_of, times_of, warning_of
from fer_ros.recordings.inputs import InputError, find_inputs
from fer_ros.recordings.parts import WHOLE


@dataclass(frozen=True)
class Frame:
    """One frame of a recording."""

    index: int
    time_ns: int
    image: np.ndarray


def frames_of(reader, source, every=1):
    """All frames of a reader, and what was wrong with the recording; refused if there are none for a known reason."""
    times = times_of(reader.report(), every)
    frames = [Frame(frame.index, time_ns, frame.image) for each in reader.part(*WHOLE, every)
              for frame, time_ns in times.push(each)]
    times.finish()
    report = reader.report()
    if report['kind'] == 'bag':
        times.count_late(report['late'])
    warning = warning_of(source, [report], times.problems)
    if not frames and (refusal := refusal_of(source, [report], warning)):
        raise InputError(refusal)
    return frames, warning


def read(path, every=1, topic=''):
    """As `frames_of`, from a path."""
    item, = find_inputs([str(path)])
    reader = open_reader(item, topic)
    try:
        return frames_of(reader, item.source, every)
    finally:
        reader.close()
