"""Times of frames from the clock of the camera, where that can be believed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

_BACK = 1_000_000_000
"""Nanoseconds: stamps that jump back further start a new time line, as with several drives in one bag."""
_AHEAD = 10_000_000_000
"""Nanoseconds that stamps may gain on the times of recording from one frame to the next: frames may be recorded in
bursts, or have been recorded again from a bag that was played."""
LONGEST_GAP = 86_400_000_000_000
"""Nanoseconds: no recording pauses for more than a day; its clock was set."""


@dataclass(frozen=True)
class Stamped:
    """A frame with the times that a recording has for it."""

    index: int
    image: np.ndarray
    """uint8 (H, W, 3) BGR."""
    stamp_ns: int
    """Time of capture, in ns of any clock."""
    recorded_ns: int
    """Time of recording, in ns of any clock."""


class TimeLine:
    """Turns stamps into times that increase from 0 and follow the stamps.

    Where the stamps leap against the times of recording, since a clock was set, or stand still, the times of recording
    are followed. Where these leap too, frames follow each other at the nominal rate.

    Args:
        period_ns: nominal nanoseconds from one frame to the next.
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns = max(1, period_ns)
        self._last: Stamped | None = None
        self._time_ns = 0
        self._stamps_ns = self._recorded_ns = 0  # sums of the steps that agree
        self._late = self._leaps = self._still = 0
        self._first_leap = ''

    @property
    def problems(self) -> list[str]:
        """What was wrong with the stamps, in one line each."""
        problems = []
        if self._leaps:
            times = 'once' if self._leaps == 1 else f'{self._leaps} times, first'
            problems.append(f'stamps leap {times} by {self._first_leap}: the clock was set, and the times of recording '
                            'are used there')
        if self._still:
            problems.append(f'{self._still} images have the stamp of the one before: the times of recording are used')
        if self._late:
            problems.append(f'{self._late} images were skipped because their stamp was not newer than the previous one')
        return problems

    def frames(self, stamped: Iterable[Stamped]) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield index, nanoseconds since the first frame, and image of each frame; the times increase.

        Of two frames with the same stamp the second is a copy and left out; from three on, the clock stands still.
        """
        held: Stamped | None = None
        still = False
        for frame in stamped:
            if self._last is not None and frame.stamp_ns == self._last.stamp_ns:
                if held is None and not still:
                    held = frame
                    continue
                for each in (held, frame) if held is not None else (frame,):
                    self._still += 1
                    yield self._placed(each, self._recorded_step(each))
                held, still = None, True
                continue
            self._late += held is not None
            # The stamp of the last frame says nothing about its time if the clock stood still.
            step = self._recorded_step(frame) if still else self._step(frame)
            held, still = None, False
            if step <= 0 and self._last is not None:
                self._late += 1
            else:
                yield self._placed(frame, step)
        self._late += held is not None

    def _placed(self, frame: Stamped, step_ns: int) -> tuple[int, int, np.ndarray]:
        self._time_ns += step_ns
        self._last = frame
        return frame.index, self._time_ns, frame.image

    def _step(self, frame: Stamped) -> int:
        """Nanoseconds from the last frame to this one; 0 or less if it is late."""
        if self._last is None:
            return 0
        step = frame.stamp_ns - self._last.stamp_ns
        recorded = frame.recorded_ns - self._last.recorded_ns
        # In a bag that was converted, or recorded while another was played, the times of recording may mean nothing.
        believed = 2 * self._recorded_ns >= self._stamps_ns
        if step < -_BACK or step > LONGEST_GAP or (believed and step > max(recorded, 0) + _AHEAD):
            self._leaps += 1
            self._first_leap = self._first_leap or f'{step * 1e-9:+.3f} s'
            return self._recorded_step(frame) if believed else self._period_ns
        if step > 0:
            self._stamps_ns += step
            self._recorded_ns += max(recorded, 0)
        return step

    def _recorded_step(self, frame: Stamped) -> int:
        assert self._last is not None
        step = frame.recorded_ns - self._last.recorded_ns
        return step if 0 < step <= LONGEST_GAP else self._period_ns
