"""How the inputs of a run end, whoever processes them."""

from collections.abc import Callable
from dataclasses import dataclass

from fer_ros.media.file_names import without_errno
from fer_ros.recordings.inputs import Input


class PoolError(Exception):
    """No input can be processed: model, device or detector cannot be used. The message is one line."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of one input."""

    item: Input
    summary: dict | None = None
    """As returned by `process`; None if it failed or was interrupted."""
    error: str = ''
    interrupted: bool = False


Progress = Callable[[Input, int, float], None]
"""Called repeatedly with an input, its number of processed frames and the fraction done."""
Ended = Callable[[Outcome], None]
"""Called once for every input that was started."""


def told(item: Input, error: BaseException) -> str:
    """An error as one line that names its input."""
    text = ' '.join(without_errno(error).split()) or type(error).__name__
    return text if item.shown in text else f'{item.shown}: {text}'
