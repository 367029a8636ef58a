"""What clients send must not fill the log: each problem is logged in one line, and seldom."""

import logging
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from fer_ros.results import wire

PERIOD = 5.0
"""Minimum seconds between two lines about the same problem."""
LOGGERS = ('uvicorn.error', 'asyncio', 'engineio.server', 'socketio.server', 'nicegui')
LONGEST = 200
"""Maximum characters of a text from elsewhere."""
_AT_THE_END = 'timeout graceful shutdown exceeded'
"""Said by the server, as an error, when it ends while somebody is connected, which is nothing wrong."""
_PACKAGE = str(Path(__file__).parents[2])
_KINDS = 100


class Throttle(logging.Filter):
    """Passes a record of each kind once in `PERIOD`, with the number of those left out since.

    An exception raised in a library, by what a client sent, becomes one line; one raised in this package keeps its
    traceback.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._due: dict[tuple, float] = {}
        self._left_out: dict[tuple, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged; shortens it."""
        if _AT_THE_END in str(record.msg):
            return False
        error = record.exc_info[1] if record.exc_info else None
        kind = (record.pathname, record.lineno, type(error))
        now = self._clock()
        if now < self._due.get(kind, 0.0):
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        if len(self._due) >= _KINDS:
            self._due.clear()
            self._left_out.clear()
        self._due[kind] = now + PERIOD
        text = wire.shown(record.getMessage(), LONGEST)
        if error is not None and not _of_this_package(error):
            record.exc_info = record.exc_text = None
            text = f'{text}: {type(error).__name__}: {wire.shown(str(error), LONGEST)}'
        left_out = self._left_out.pop(kind, 0)
        record.msg, record.args = f'{text} (and {left_out} times more)' if left_out else text, None
        return True


def _of_this_package(error: BaseException) -> bool:
    """Whether it was raised in this package, or in a library that it called."""
    frames = traceback.extract_tb(error.__traceback__)
    served = [frame for frame in frames if not frame.filename.startswith(f'{_PACKAGE}/web/server/')]
    return any(frame.filename.startswith(_PACKAGE) for frame in served)


def throttle() -> None:
    """Apply it to the loggers of the server's libraries."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(existing, Throttle) for existing in logger.filters):
            logger.addFilter(Throttle())
