"""Processes recordings on a Dask cluster: parts are analysed by its workers and joined here, in order."""

import queue
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fer_ros.recordings.cluster import Cluster
from fer_ros.recordings.inputs import Input
from fer_ros.recordings.outcomes import Ended, Outcome, PoolError, Progress, told
from fer_ros.recordings.part_task import Answer, Order, analyse_part
from fer_ros.recordings.parts import Part
from fer_ros.recordings.recording_run import RecordingRun
from fer_ros.recordings.settings import Settings

LOOK = 1.0
"""Seconds between two looks at which workers there are."""
OPEN = 2
"""Recordings that are opened ahead."""
THREADS = 4
"""Recordings that are joined at the same time."""
ALONE = 10.0
"""Seconds without a worker after which the program says that it waits for one; and without one that sees a file, after
which it is given up."""


@dataclass(eq=False)
class _Recording:
    run: RecordingRun
    number: int
    blind: set[str] = field(default_factory=set)
    """Workers that do not see the file."""
    blind_since: float | None = None
    """Since when no other is there."""
    done: int = 0
    """Frames of the parts that came back."""
    running: dict[str, int] = field(default_factory=dict)
    """Frames analysed so far of the parts in work, by key."""
    busy: bool = False
    """Whether a thread joins or completes it."""
    over: bool = False

    @property
    def item(self) -> Input:
        return self.run.item


@dataclass(eq=False)
class _Flight:
    """A part on its way."""

    recording: _Recording
    part: Part
    key: str
    workers: frozenset[str]
    """Those that may do it; empty: all."""
    future: Any = None


class ClusterRun:
    """Processes inputs on a cluster.

    Args:
        items: the inputs; no cameras.
        folder: folder of the outputs.
        settings: settings of the run.
        cluster: belongs to the run, which closes it.
        resume: whether finished parts of an earlier run are used.
        tell: called with a line for the user.
    """

    def __init__(self, items: Sequence[Input], folder: Path, settings: Settings, cluster: Cluster, resume: bool,
                 tell: Callable[[str], None]) -> None:
        self._items = deque(items)
        self._folder, self._settings, self._resume, self._tell = folder, settings, resume, tell
        self._cluster = cluster
        self._name = f'fer_ros-{uuid.uuid4().hex[:8]}'
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        """What is to be done in the main thread."""
        self._threads = ThreadPoolExecutor(THREADS, 'join')
        self._opening = 0
        self._open: list[_Recording] = []
        self._ready: deque[tuple[_Recording, Part]] = deque()
        self._flights: dict[str, _Flight] = {}
        self._unfit: dict[str, str] = {}
        """Why workers cannot create the pipeline."""
        self._workers: dict[str, int] = {}
        self._looked, self._alone_since = -LOOK, time.monotonic()
        self._count = 0
        self._stopped = False
        self._ended: Ended = lambda outcome: None
        cluster.client.subscribe_topic(self._name, self._on_progress)

    @property
    def busy(self) -> bool:
        """Whether there is an input that has not ended."""
        return bool(self._items or self._opening or self._open)

    def step(self, progress: Progress, ended: Ended, timeout: float) -> None:
        """Begin what can be begun, wait for up to `timeout` seconds, and say what has happened.

        Raises:
            PoolError: no input can be processed, or the scheduler is lost.
        """
        self._ended = ended
        if not self._stopped:
            self._look()
            self._begin()
        try:
            event: Callable[[], None] | None = self._events.get(timeout=timeout)
            while event is not None:
                event()
                event = None if self._events.empty() else self._events.get()
        except queue.Empty:
            pass
        if self._cluster.lost and not self._stopped:
            raise self._cluster.loss()
        for recording in self._open:
            self._report(recording, progress)

    def _report(self, recording: _Recording, progress: Progress) -> None:
        run = recording.run
        frames = recording.done + sum(recording.running.values())
        analysed = min(frames / run.expected, 1.0) if run.expected else 0.0
        drawing = run.drawing_share
        progress(recording.item, max(frames, run.joined_frames),
                 (1 - drawing) * max(analysed, run.joined_share) + drawing * run.joined_share)

    def _on_progress(self, event: tuple[float, dict]) -> None:
        """Runs in a thread of Dask."""
        message = event[1]

        def note() -> None:
            flight = self._flights.get(message.get('key', ''))
            if flight is not None:
                flight.recording.running[flight.key] = int(message['frames'])
        self._events.put(note)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        self._workers = self._cluster.workers()
        if self._workers:
            self._alone_since = now
        elif now - self._alone_since > ALONE:
            self._alone_since = float('inf')
            self._tell(f'waiting for workers: start them with `dask worker {self._cluster.address} --nthreads 1`')
        for flight in list(self._flights.values()):
            if flight.workers and not flight.workers & self._workers.keys():  # all that could do it have gone
                self._drop(flight)
                self._ready.appendleft((flight.recording, flight.part))

    def _begin(self) -> None:
        # No more than the threads: a part that waits in a worker counts as having killed it when another one does.
        room = sum(self._workers.values()) - len(self._flights)
        for _ in range(len(self._ready)):
            if room <= 0:
                break
            recording, part = self._ready.popleft()
            if recording.over:
                continue
            if self._submit(recording, part):
                room -= 1
            elif not recording.over:
                self._ready.append((recording, part))
        while self._items and len(self._ready) < max(room, 1) and self._opening < OPEN:
            self._opening += 1
            self._start_opening(self._items.popleft())

    def _start_opening(self, item: Input) -> None:
        def opened(future: Future) -> None:
            self._opening -= 1
            error = future.exception()
            if error is not None:
                self._ended(Outcome(item, error=told(item, error)))
                return
            run: RecordingRun = future.result()
            if self._stopped:
                run.close()
                self._ended(Outcome(item, interrupted=True))
                return
            missing = run.missing
            recording = _Recording(run, self._count)
            self._count += 1
            self._open.append(recording)
            self._ready.extend((recording, part) for part in missing)
            self._go_on(recording)
        self._in_thread(lambda: RecordingRun(item, self._folder, self._settings, self._resume), opened)

    def _in_thread(self, work: Callable[[], Any], then: Callable[[Future], None]) -> None:
        """Do `work` in a thread, and `then` in the main thread."""
        future = self._threads.submit(work)
        future.add_done_callback(lambda future: self._events.put(lambda: then(future)))

    def _submit(self, recording: _Recording, part: Part) -> bool:
        """Whether the part is on its way; otherwise nobody can do it, yet or at all."""
        alive = set(self._workers)
        fit = alive - self._unfit.keys()
        if alive and not fit:
            raise PoolError(next(iter(self._unfit.values())))
        able = fit - recording.blind
        if not able:
            now = time.monotonic()
            if recording.blind_since is None:
                recording.blind_since = now
            if now - recording.blind_since < ALONE:  # another worker may be about to start
                return False
            self._fail(recording, f'{recording.item.shown} is not the same file on any worker, or not there '
                                  f'({", ".join(sorted(fit))}): mount its folder under the same path everywhere')
            return False
        recording.blind_since = None
        workers = frozenset(able) if able != alive else frozenset()
        key = f'{self._name}-{recording.number}-{part.number}-{uuid.uuid4().hex[:8]}'
        order = Order(recording.item, recording.run.size, part, self._settings, recording.run.key(part), self._name,
                      key)
        flight = _Flight(recording, part, key, workers)
        self._flights[key] = flight
        flight.future = self._cluster.submit(analyse_part, order, key, workers, -recording.number)
        flight.future.add_done_callback(lambda future: self._events.put(lambda: self._landed(key)))
        return True

    def _landed(self, key: str) -> None:
        flight = self._flights.get(key)
        if flight is None:  # dropped
            return
        if flight.future.status not in ('finished', 'error'):
            if self._cluster.lost:
                raise self._cluster.loss()
            self._drop(flight)
            self._ready.appendleft((flight.recording, flight.part))
            return
        recording, part = flight.recording, flight.part
        if flight.future.status == 'error':
            error = flight.future.exception()
            self._drop(flight)
            self._fail(recording, self._why(recording, part, error))
            return
        try:
            answer: Answer = flight.future.result()
        except OSError as error:
            raise self._cluster.loss() from error
        self._drop(flight)
        if answer.elsewhere == 'pipeline':
            self._unfit[answer.worker] = answer.error
        elif answer.elsewhere == 'file':
            recording.blind.add(answer.worker)
        elif answer.error:
            self._fail(recording, answer.error)
            return
        if answer.elsewhere:
            self._ready.appendleft((recording, part))
            return
        recording.done += answer.frames

        def kept(future: Future) -> None:
            error = future.exception()
            if error is not None:
                self._fail(recording, told(recording.item, error))
            else:
                self._go_on(recording)
        self._in_thread(lambda: recording.run.keep(part, answer.data), kept)

    def _why(self, recording: _Recording, part: Part, error: BaseException) -> str:
        of = f'part {part.number + 1} of {len(recording.run.parts)}' if len(recording.run.parts) > 1 else 'it'
        if type(error).__name__ == 'KilledWorker':
            return (f'{recording.item.shown}: {of} ended the process of each worker that tried it: a decoder crashed, '
                    'or there was not enough memory')
        return f'{recording.item.shown}: {of} failed: {told(recording.item, error)}'

    def _go_on(self, recording: _Recording) -> None:
        """Join what can be joined, and complete what is."""
        if recording.busy or recording.over or self._stopped:
            return
        run = recording.run
        if run.complete:
            recording.busy = True
            self._in_thread(run.finish, lambda future: self._finished(recording, future))
        elif run.can_join:
            recording.busy = True
            self._in_thread(lambda: run.join(lambda: self._stopped or recording.over),
                            lambda future: self._joined(recording, future))

    def _joined(self, recording: _Recording, future: Future) -> None:
        recording.busy = False
        error = future.exception()
        if recording.over:
            recording.run.close()
        elif error is not None:
            self._fail(recording, told(recording.item, error))
        elif not self._stopped:
            self._go_on(recording)

    def _finished(self, recording: _Recording, future: Future) -> None:
        recording.busy = False
        error = future.exception()
        if error is not None:
            self._fail(recording, told(recording.item, error))
            return
        self._leave(recording)
        recording.run.close()
        self._ended(Outcome(recording.item, future.result()))

    def _fail(self, recording: _Recording, error: str) -> None:
        if recording.over:
            return
        self._leave(recording)
        if not recording.busy:
            recording.run.close()
        self._ended(Outcome(recording.item, error=error))

    def _leave(self, recording: _Recording) -> None:
        """Give up what is still on its way for it."""
        recording.over = True
        if recording in self._open:
            self._open.remove(recording)
        for flight in [flight for flight in self._flights.values() if flight.recording is recording]:
            self._drop(flight)

    def _drop(self, flight: _Flight) -> None:
        self._flights.pop(flight.key, None)
        flight.recording.running.pop(flight.key, None)
        if flight.future is not None:
            flight.future.release()

    def stop(self) -> None:
        """Begin nothing more, and keep what is finished."""
        if self._stopped:
            return
        self._stopped = True
        self._items.clear()
        self._ready.clear()
        for flight in list(self._flights.values()):
            self._drop(flight)
        self._threads.shutdown(wait=True)  # a frame is soon drawn
        while not self._events.empty():  # what has just been completed is not interrupted
            self._events.get()()
        for recording in list(self._open):
            self._leave(recording)
            recording.run.close()
            self._ended(Outcome(recording.item, interrupted=True))

    def close(self) -> None:
        """Close what is open and the cluster."""
        self._stopped = True
        self._threads.shutdown(wait=True, cancel_futures=True)
        for recording in self._open:
            recording.run.close()
        self._open.clear()
        self._cluster.close()
