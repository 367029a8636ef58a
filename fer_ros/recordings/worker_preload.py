"""Prepares a worker process of this computer, which Dask imports at its start."""

import signal


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the main program, which ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
