"""Processes recordings in several processes, each with its own pipeline.

A process that dies, because of a decoder or lack of memory, fails one input and is replaced.
"""

import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from fer_ros.media.file_names import without_errno
from fer_ros.perception import PipelineError
from fer_ros.recordings.inputs import Input, InputError
from fer_ros.recordings.processing import Interrupted, Settings, create_pipeline, process

REPORTS = 0.2
"""Seconds between two progress reports."""
PATIENCE = 15.0
"""Seconds that a process has to save partial results when the run is interrupted."""


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


def process_all(items: Sequence[Input], folder: Path, settings: Settings, jobs: int,
                progress: Callable[[Input, int, float], None], ended: Callable[[Outcome], None],
                stopped: Callable[[], bool]) -> None:
    """Process `items` in `jobs` processes.

    Args:
        items: the inputs.
        folder: folder of the outputs.
        settings: settings of the run.
        jobs: number of processes.
        progress: called repeatedly with an input, its number of processed frames and the fraction done.
        ended: called once for every input that was started.
        stopped: when it returns true, partial results are saved and no further input is started.

    Raises:
        PoolError: no input can be processed.
    """
    waiting = list(items)
    workers: list[_Worker] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs and not stopped():
                workers.append(_Worker(waiting.pop(0), folder, settings))
            if stopped():
                waiting.clear()
                for worker in workers:
                    worker.stop()
            wait([w.connection for w in workers] + [w.process.sentinel for w in workers], timeout=REPORTS)
            for worker in list(workers):
                outcome = worker.look(progress)
                if outcome is None:
                    continue
                ended(outcome)
                if waiting and not stopped() and worker.process.is_alive():
                    worker.begin(waiting.pop(0))
                else:
                    worker.end()
                    workers.remove(worker)
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """One process and its current input."""

    def __init__(self, item: Input, folder: Path, settings: Settings) -> None:
        # A forked process would share the state of libraries with threads.
        context = multiprocessing.get_context('spawn')
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, folder, settings), daemon=True)
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

    def look(self, progress: Callable[[Input, int, float], None]) -> Outcome | None:
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
        return Outcome(self.item, error=f'{self.item.source}: its process died with {why}')

    def end(self) -> None:
        self.connection.close()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _work(connection: Connection, folder: Path, settings: Settings) -> None:
    """Run in the process: handle one input after the other until the connection is closed."""
    # The terminal sends SIGINT to all processes; the main program handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
            _work_on(item, connection, folder, settings, pipeline)


def _work_on(item: Input, connection: Connection, folder: Path, settings: Settings, pipeline) -> None:
    last = 0.0

    def report(frames: int, share: float) -> bool:
        nonlocal last
        if time.monotonic() - last > REPORTS:
            last = time.monotonic()
            connection.send(('progress', (frames, share)))
        return connection.poll()  # the only possible message is the request to stop, or the end of the connection

    answer: tuple[str, dict | bool | str]
    try:
        answer = ('summary', process(item, folder, settings, pipeline, report))
    except Interrupted:
        answer = ('interrupted', True)
    except (InputError, OSError) as error:
        text = without_errno(error)
        answer = ('error', text if item.source in text else f'{item.source}: {text}')
    with suppress(OSError):  # the program was killed
        connection.send(answer)
