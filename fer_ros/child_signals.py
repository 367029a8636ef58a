"""Ctrl-C belongs to the main program: a terminal sends SIGINT to all its processes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def sigint_for_the_parent() -> Iterator[None]:
    """Block SIGINT in the child processes and threads that are started in the block; ours arrives after it.

    A handler of the child's own would come too late: importing its modules takes seconds. For children of
    `multiprocessing` in context `spawn`, and in the main thread.
    """
    resource_tracker.ensure_running()  # its start lets SIGINT in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
