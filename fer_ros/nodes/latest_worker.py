"""A thread that always processes the newest item, so that latency does not build up."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar('Item')


class LatestWorker(Generic[Item]):
    """Calls `handle` in its own thread with the newest item submitted; older ones that still wait are replaced.

    `handle` must handle its own exceptions.
    """

    def __init__(self, handle: Callable[[Item], None]):
        self._handle = handle
        self._condition = threading.Condition()
        self._slot: list[Item] = []
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name='latest_worker', daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> bool:
        """Submit `item`; returns whether it replaced an older one."""
        with self._condition:
            replaced = bool(self._slot)
            self._slot[:] = [item]
            self._condition.notify()
        return replaced

    def stop(self) -> None:
        """Wait for the item being processed, discard the waiting one, and end the thread."""
        with self._condition:
            self._stopped = True
            self._slot.clear()
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._slot or self._stopped)
                if self._stopped:
                    return
                item = self._slot.pop()
            self._handle(item)


class RateLimit:
    """Selects frames so that there are at most `rate` per second on average; 0: all.

    It decides when a frame arrives, so selected frames are fresh.
    """

    def __init__(self, rate: float = 0.0):
        self.rate = rate
        self._due = float('-inf')

    def take(self, now: float) -> bool:
        """Whether to process the frame that arrives at `now` (seconds, monotonic)."""
        if self.rate <= 0:
            return True
        if now < self._due:
            return False
        period = 1 / self.rate
        # The next one is due a period after this one was, so that the average holds for irregular frames, but frames
        # missed in a pause are not compensated.
        self._due = (self._due if now < self._due + period else now) + period
        return True
