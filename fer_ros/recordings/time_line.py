"""Times of frames from the clock of the camera, where that can be believed."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

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


class HasStamps(Protocol):
    """Anything with the two times of a `Stamped`."""

    @property
    def stamp_ns(self) -> int:
        """Time of capture, in ns of any clock."""

    @property
    def recorded_ns(self) -> int:
        """Time of recording, in ns of any clock."""


AnyStamped = TypeVar('AnyStamped', bound=HasStamps)


class TimeLine:
    """Turns stamps into times that increase from 0 and follow the stamps.

    Where the stamps leap against the times of recording, since a clock was set, or stand still, the times of recording
    are followed. Where these leap too, frames follow each other at the nominal rate.

    Args:
        period_ns: nominal nanoseconds from one frame to the next.
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns = max(1, period_ns)
        self._last: HasStamps | None = None
        self._held: Any = None
        """A frame with the stamp of the last one, of which is not known yet whether it is a copy."""
        self._clock_stands = False
        self._time_ns = 0
        self._stamps_ns = self._recorded_ns = 0  # sums of the steps that agree
        self._late = self._leaps = self._still = 0
        self._first_leap = ''

    def count_late(self, number: int) -> None:
        """Count frames that were left out before they came here."""
        self._late += number

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

    def push(self, frame: AnyStamped) -> 'list[tuple[AnyStamped, int]]':
        """Add the next frame; returns those whose time is now known, each with its nanoseconds since the first.

        The times increase. Of two frames with the same stamp the second is a copy and left out; from three on, the
        clock stands still.
        """
        if self._last is not None and frame.stamp_ns == self._last.stamp_ns:
            if self._held is None and not self._clock_stands:
                self._held = frame
                return []
            same = (self._held, frame) if self._held is not None else (frame,)
            self._still += len(same)
            self._held, self._clock_stands = None, True
            return [self._placed(each, self._recorded_step(each)) for each in same]
        # The stamp of the last frame says nothing about its time if the clock stood still.
        stood = self._clock_stands
        self.finish()
        self._clock_stands = False
        step = self._recorded_step(frame) if stood else self._step(frame)
        if step <= 0 and self._last is not None:
            self._late += 1
            return []
        return [self._placed(frame, step)]

    def finish(self) -> None:
        """Say that no further frame has the stamp of the last one."""
        self._late += self._held is not None
        self._held = None

    @property
    def late(self) -> int:
        """Number of frames left out so far."""
        return self._late

    def _placed(self, frame: Any, step_ns: int) -> Any:
        self._time_ns += step_ns
        self._last = frame
        return frame, self._time_ns

    def _step(self, frame: HasStamps) -> int:
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

    def _recorded_step(self, frame: HasStamps) -> int:
        assert self._last is not None
        step = frame.recorded_ns - self._last.recorded_ns
        return step if 0 < step <= LONGEST_GAP else self._period_ns


class FileTimes:
    """Turns the presentation times of a video file into times that increase from 0.

    Where they are missing, decrease or leap by more than a day, the frame rate is followed.

    Args:
        period_ns: nominal nanoseconds from one frame to the next.
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._first_ns: int | None = None
        self._last_ns = -1
        self.leaps = 0
        """Number of leaps by more than a day."""

    def push(self, frame: AnyStamped) -> 'list[tuple[AnyStamped, int]]':
        """The next frame, and its nanoseconds since the first."""
        self._first_ns = frame.stamp_ns if self._first_ns is None else self._first_ns
        time_ns = frame.stamp_ns - self._first_ns
        leaps = self._last_ns >= 0 and time_ns > self._last_ns + LONGEST_GAP
        if time_ns <= self._last_ns or leaps:
            time_ns = self._last_ns + self._period_ns
        if leaps:
            self.leaps += 1
            self._first_ns = frame.stamp_ns - time_ns
        self._last_ns = time_ns
        return [(frame, time_ns)]

    def finish(self) -> None:
        """As `TimeLine.finish`: nothing is held back here."""

    @property
    def problems(self) -> list[str]:
        """What was wrong with the times, in one line each."""
        times = 'once' if self.leaps == 1 else f'{self.leaps} times'
        return [f'its times leap {times} by more than a day'] if self.leaps else []


class GivenTimes:
    """The times of frames that have them already: of a camera, and of photos, which all have 0."""

    problems: tuple[str, ...] = ()

    def push(self, frame: AnyStamped) -> 'list[tuple[AnyStamped, int]]':
        """The next frame, and its time."""
        return [(frame, frame.stamp_ns)]

    def finish(self) -> None:
        """As `TimeLine.finish`: nothing is held back here."""
