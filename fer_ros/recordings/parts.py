"""Cuts recordings into parts that can be analysed independently of each other.

Where is a property of the recording and of `part_s` alone, not of how many processes there are: so results are the same
with any number of them.
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from fer_ros.media.video_file import PacketTimes

WARM_UP = 1.0
"""Seconds before a part in which faces are looked for, so that they are known at its first frame."""
LEAST = 0.5
"""A last part shorter than this share of the others belongs to the one before."""
SLACK = 1.0
"""Seconds beyond `--seconds` that are read in a part that does not know exactly when the recording began."""
_S = 1_000_000_000


@dataclass(frozen=True)
class Part:
    """A part of a recording; times are those of the recording: of presentation in videos, of recording in bags."""

    number: int = 0
    begin_ns: int | None = None
    """From this time on; None: from the beginning."""
    end_ns: int | None = None
    """Before this time; None: to the end."""
    warm_ns: int | None = None
    """Faces are looked for from this time on; None in a part without a warm-up."""
    seek_ns: int | None = None
    """Time of the key frame from which on a video is decoded."""
    stop_ns: int | None = None
    """No frame from this time on is wanted."""
    first: int = 0
    """Number of its first frame in the recording, by packets or messages."""
    frames: float = 0.0
    """Number of its frames, possibly an estimate; 0 if unknown."""


WHOLE = (Part(),)
"""The parts of what cannot be cut."""


def of_video(times: PacketTimes | None, part_s: float, seconds: float, longest_gap_ns: int) -> tuple[Part, ...]:
    """Parts that begin at the first key frame after `part_s` seconds each.

    Args:
        times: of the packets; None if reading cannot begin in the middle.
        part_s: seconds.
        seconds: only the parts that begin before so many seconds; 0: all.
        longest_gap_ns: nanoseconds; a longer gap between frames is an error in the times, which is not cut.
    """
    if times is None or len(times.keys) < 2:
        return WHOLE
    second = float(1 / times.base)
    first, last = int(times.times[0]), int(times.times[-1])
    if times.keys[0] != first or np.diff(times.times).max(initial=0) > longest_gap_ns * 1e-9 * second:
        return WHOLE
    begins = [first]
    for key in times.keys:
        if key >= begins[-1] + part_s * second:
            begins.append(key)
    if len(begins) > 1 and last - begins[-1] < LEAST * part_s * second:
        begins.pop()
    if seconds:
        begins = [begin for begin in begins if begin < first + (seconds + SLACK) * second]
    if len(begins) < 2:
        return WHOLE
    numbers = np.searchsorted(times.times, begins).tolist()
    ends: list[int | None] = [*begins[1:], None]
    parts = []
    for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        stop = numbers[number + 1] if end is not None else len(times.times)
        warm = begin - WARM_UP * second
        seek = times.keys[max(bisect_right(times.keys, warm) - 1, 0)]
        parts.append(Part(
            number, times.nanoseconds(begin) if number else None, None if end is None else times.nanoseconds(end),
            times.nanoseconds(begin) - round(WARM_UP * _S) if number else None,
            times.nanoseconds(seek) if number else None,
            times.nanoseconds(first) + round((seconds + SLACK) * _S) if seconds and number else None,
            numbers[number], stop - numbers[number]))
    return tuple(parts)


def of_bag(span_ns: tuple[int, int] | None, count: float, rate: float, part_s: float) -> tuple[Part, ...]:
    """Parts of equal time that have `part_s` seconds of frames each if these are evenly spread.

    Args:
        span_ns: times of recording of the first, and just after the last message; None if it cannot be cut.
        count: number of messages.
        rate: nominal frames per second, by which pauses do not make more parts.
        part_s: seconds.
    """
    if span_ns is None:
        return WHOLE
    first, end = span_ns
    number = max(1, round(min(count / rate, (end - first) / _S) / part_s))
    if number < 2:
        return WHOLE
    begins = [first + (end - first) * i // number for i in range(number)]
    return tuple(Part(i, begin if i else None, begins[i + 1] if i + 1 < number else None,
                      begin - round(WARM_UP * _S) if i else None, frames=count / number)
                 for i, begin in enumerate(begins))
