"""The diagnostics of the node `fer`, as another program reads them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from fer_ros import diagnostic_keys
from fer_ros.results import wire

MOST_COUNTED = 10**9
"""Maximum of a count."""
MOST_VALUES = 200
"""Maximum number of values that are read; `fer` writes 30."""
STATES = ('unconfigured', 'inactive', 'active', 'finalized', 'configuring', 'cleaningup', 'shuttingdown', 'activating',
          'deactivating', 'errorprocessing')
"""The states of a lifecycle node."""
MOST_PROBLEMS = 10
"""Maximum number of image problems that are read; `fer` knows five."""
LONGEST_LIST = 5000
"""Maximum characters of a list of ids."""

Value = TypeVar('Value')
Default = TypeVar('Default')


@dataclass(frozen=True)
class Health:
    """The values that are of interest elsewhere, with what stands for a missing one."""

    level: int = 0
    """Level of diagnostic_msgs/DiagnosticStatus: 0 OK, 1 WARN, 2 ERROR, 3 STALE."""
    message: str = ''
    state: str = 'active'
    """One of `STATES`."""
    device: str = ''
    """Device that runs the network."""
    image_topic: str = ''
    """Topic that `fer` subscribes to."""
    publishers: int = 0
    """Number of publishers on that topic."""
    dropped: int | None = None
    """Frames dropped within `fer_ros.diagnostic_keys.RATE_PERIOD`; None if unknown."""
    calibrated: str = ''
    """Ids of the faces with a neutral baseline, separated by spaces."""
    runtime: str = ''
    """Library that runs the network."""
    model: str = ''
    """Name of the network."""
    image_problems: tuple[str, ...] = ()
    """What is wrong with the images, one line each (`fer_ros.perception.image_problems`)."""
    left_out: tuple[str, ...] = ()
    """Why values of the message were left out: one line for each."""


def decode_health(level: int, message: str, values: Iterable[tuple[str, str]]) -> Health:
    """The status of the node `fer` from its diagnostics.

    A value that does not follow the schema is left out; ``left_out`` says why. No message raises an error.

    Args:
        level: level of the status.
        message: its message.
        values: (key, value) pairs.
    """
    left_out: list[str] = []
    given = {}
    for index, (key, value) in enumerate(values):
        if index == MOST_VALUES:
            left_out.append(f'more than {MOST_VALUES} values')
            break
        given[key] = value

    def decoded(decode: Callable[[str], Value], key: str, default: Default) -> Value | Default:
        if key not in given:
            return default
        try:
            return decode(given[key])
        except wire.BadValue as error:
            left_out.append(str(error))
            return default

    def counted(key: str) -> Callable[[str], int]:
        return lambda value: wire.count(value, MOST_COUNTED, key)
    if level not in range(4):
        left_out.append(f'level {wire.shortened(level)} is not one of 0 to 3')
        level = 3
    dropped = diagnostic_keys.recent('dropped')
    return Health(
        level, wire.shown(message), decoded(_state, diagnostic_keys.STATE, 'active'),
        decoded(lambda value: wire.line(value, 100, 'device'), diagnostic_keys.DEVICE, ''),
        decoded(lambda value: wire.topic(value) if value else '', diagnostic_keys.IMAGE_TOPIC, ''),
        decoded(counted(diagnostic_keys.PUBLISHERS), diagnostic_keys.PUBLISHERS, 0),
        decoded(counted(dropped), dropped, None),
        decoded(lambda value: wire.line(value, LONGEST_LIST, 'calibrated faces'),
                diagnostic_keys.CALIBRATED_FACES, ''),
        decoded(lambda value: wire.line(value, 100, 'runtime'), diagnostic_keys.RUNTIME, ''),
        decoded(lambda value: wire.line(value, 100, 'model'), diagnostic_keys.MODEL, ''),
        decoded(_image_problems, diagnostic_keys.IMAGE_PROBLEMS, ()), tuple(left_out))


def _image_problems(value: str) -> tuple[str, ...]:
    text = wire.line(value, wire.LONGEST_TEXT, 'image problems')
    return tuple(filter(None, text.split('; ')))[:MOST_PROBLEMS]


def _state(value: str) -> str:
    if value in STATES:
        return value
    raise wire.BadValue(f'state {wire.shortened(value)} is not a state of a lifecycle node')
