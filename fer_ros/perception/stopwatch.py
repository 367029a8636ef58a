"""Times the stages of a frame."""

import time


class Stopwatch:
    """Starts when it is created; `stop` ends a stage and starts the next."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        """Seconds by stage, in the order in which the stages ended."""
        self._last = time.perf_counter()

    def stop(self, stage: str) -> None:
        """End `stage`, which began at the last call or at the creation."""
        now = time.perf_counter()
        self.timings[stage] = now - self._last
        self._last = now
