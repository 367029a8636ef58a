"""What the command lines of the network share: errors in one line, optional packages, and the choice of a device."""

import argparse
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import NoReturn

import torch

from fer_ros.msfernet.errors import DataError
from fer_ros.msfernet.weights import WeightsError

USER_ERRORS = (DataError, WeightsError, ValueError, OSError, FloatingPointError)
"""What a wrong argument, file or setting raises; anything else is a defect and keeps its traceback."""


class Parser(argparse.ArgumentParser):
    """Names a wrong argument in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'{self.prog}: {message} (see --help)\n')


def run(program: str, work: Callable[[], None], *, stopped: str = 'stopped') -> int:
    """Do `work`; a user's mistake becomes one line on stderr.

    Args:
        program: name before the message.
        work: does everything but parsing the arguments.
        stopped: what to say after Ctrl-C.

    Returns:
        Exit code: 0, 1 after a mistake, 130 after Ctrl-C.
    """
    try:
        work()
    except USER_ERRORS as error:
        print(f'{program}: {" ".join(str(error).split())}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'{program}: {stopped}', file=sys.stderr)
        return 130
    return 0


def require(*packages: str) -> None:
    """Check that optional packages are installed.

    Raises:
        ValueError: some are not; the message says how to install them.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ValueError(f'{" and ".join(missing)} not installed: pip install {" ".join(missing)}')


def device_named(name: str) -> torch.device:
    """`auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`.

    Raises:
        ValueError: unknown, or not on this machine.
    """
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f'unknown device {name!r}: use auto, cpu, cuda or cuda:N') from error
    if device.type not in ('cpu', 'cuda'):
        raise ValueError(f'unknown device {name!r}: use auto, cpu, cuda or cuda:N')
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f'no device {name!r} on this machine, which has {torch.cuda.device_count()} CUDA devices: '
                         'use --device cpu or auto')
    return device
