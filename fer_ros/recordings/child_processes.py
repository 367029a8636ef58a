"""Processes recordings in child processes, each with its own pipeline: cameras, and everything where one suffices.

A process that dies, because of a decoder or lack of memory, fails one input and is replaced.
"""

import multiprocessing
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

from fer_ros.child_signals import sigint_for_the_parent
from fer_ros.perception import PipelineError
from fer_ros.recordings.inputs import Input, InputError
from fer_ros.recordings.outcomes import Ended, Outcome, PoolError, Progress, told
from fer_ros.recordings.processing import Interrupted, Settings, create_pipeline, part_store, process

REPORTS = 0.2
"""Seconds between two progress reports."""
PATIENCE = 15.0
"""Seconds that a process has to save partial results when the run is interrupted."""


class ChildProcesses:
    """Processes inputs one after the other in so many child processes, without a cluster.

    Args:
        items: the inputs.
        folder: folder of the outputs.
        settings: settings of the run.
        jobs: number of processes.
        resume: whether finished parts of an earlier run are used.
    """

    def __init__(self, items: Sequence[Input], folder: Path, settings: Settings, jobs: int, resume: bool) -> None:
        self._waiting = list(items)
        self._workers: list[_Worker] = []
        self._arguments = folder, settings, resume
        self._jobs = jobs
        self._stopped = False

    @property
    def busy(self) -> bool:
        """Whether there is an input that has not ended."""
        return bool(self._waiting or self._workers)

    def step(self, progress: Progress, ended: Ended, timeout: float) -> None:
        """Say what has happened, begin what can be begun, and wait for up to `timeout` seconds for more.

        Raises:
            PoolError: no input can be processed.
        """
        if self._stopped:
            for worker in self._workers:
                worker.stop()
        for worker in list(self._workers):
            outcome = worker.look(progress)
            if outcome is None:
                continue
            ended(outcome)
            if self._waiting and worker.process.is_alive():
                worker.begin(self._waiting.pop(0))
            else:
                worker.end()
                self._workers.remove(worker)
        while self._waiting and len(self._workers) < self._jobs:
            self._workers.append(_Worker(self._waiting.pop(0), *self._arguments))
        # At the end: whether a process has ended because the program is to stop, the caller knows before it looks.
        if self._workers:
            wait([w.connection for w in self._workers] + [w.process.sentinel for w in self._workers], timeout=timeout)

    def stop(self) -> None:
        """Begin no further input, and save the partial results of those that have begun."""
        self._stopped = True
        self._waiting.clear()

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()


class _Worker:
    """One process and its current input."""

    def __init__(self, item: Input, folder: Path, settings: Settings, resume: bool) -> None:
        # A forked process would share the state of libraries with threads.
        context = multiprocessing.get_context('spawn')
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, folder, settings, resume), daemon=True)
        with sigint_for_the_parent():
            self.process.start()
        other.close()
        self._told_to_stop = 0.0
        self.begin(item)

    def begin(self, item: Input) -> None:
        self.item = item
        with suppress(OSError):  # it has died, which `look` detects
            self.connection.send(item)

    def stop(self) -> None:
        """Ask the process to save partial results; kill it if it does not."""
        if not self._told_to_stop:
            self._told_to_stop = time.monotonic()
            with suppress(OSError):
                self.connection.send(None)
        elif time.monotonic() - self._told_to_stop > PATIENCE:
            self.process.kill()

    def look(self, progress: Progress) -> Outcome | None:
        """The outcome of its input, or None while it is being processed."""
        try:
            while self.connection.poll():
                kind, value = self.connection.recv()
                if kind == 'progress':
                    progress(self.item, *value)
                elif kind == 'cannot work':
                    raise PoolError(value)
                else:
                    return Outcome(self.item, **{kind: value})
        except (EOFError, OSError):
            self.process.join(PATIENCE)
        if self.process.is_alive():
            return None
        if self._told_to_stop:
            return Outcome(self.item, interrupted=True)
        code = self.process.exitcode
        why = f'signal {-code}' if code is not None and code < 0 else f'code {code}'
        return Outcome(self.item, error=f'{self.item.shown}: its process died with {why}')

    def end(self) -> None:
        self.connection.close()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _work(connection: Connection, folder: Path, settings: Settings, resume: bool) -> None:
    """Run in the process: handle one input after the other until the connection is closed."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        pipeline = create_pipeline(settings)
    except PipelineError as error:
        connection.send(('cannot work', ' '.join(str(error).split())))
        return
    with pipeline:
        while True:
            try:
                item = connection.recv()
            except (EOFError, OSError):  # the program has ended
                return
            if item is None:
                return
            _work_on(item, connection, folder, settings, resume, pipeline)


def _work_on(item: Input, connection: Connection, folder: Path, settings: Settings, resume: bool, pipeline) -> None:
    last = 0.0

    def report(frames: int, share: float) -> bool:
        nonlocal last
        if time.monotonic() - last > REPORTS:
            last = time.monotonic()
            connection.send(('progress', (frames, share)))
        return connection.poll()  # the only possible message is the request to stop, or the end of the connection

    answer: tuple[str, dict | bool | str]
    try:
        store = None if item.kind == 'camera' else part_store(item, folder, settings, resume)
        answer = ('summary', process(item, folder, settings, pipeline, report, store=store))
    except Interrupted:
        answer = ('interrupted', True)
    except (InputError, OSError) as error:
        answer = ('error', told(item, error))
    with suppress(OSError):  # the program was killed
        connection.send(answer)
