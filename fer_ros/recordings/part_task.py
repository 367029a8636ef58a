"""What a worker of the cluster does: the heavy half of one part of a recording."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fer_ros.perception import PipelineError
from fer_ros.recordings.frame_readers import open_reader
from fer_ros.recordings.inputs import Input, InputError
from fer_ros.recordings.outcomes import told
from fer_ros.recordings.part_results import PartResult, to_bytes
from fer_ros.recordings.parts import Part
from fer_ros.recordings.settings import Settings, create_analyser

if TYPE_CHECKING:
    from fer_ros.perception.frame_analyser import FrameAnalyser

REPORTS = 0.5
"""Seconds between two reports of progress."""


@dataclass(frozen=True)
class Order:
    """The task."""

    item: Input
    size: int
    """Bytes of the recording, by which a file of another content is noticed."""
    part: Part
    settings: Settings
    key: str
    """What the result depends on; comes back in it."""
    topic: str = ''
    """Of the events of progress,"""
    name: str = ''
    """and by what they call this task."""


@dataclass(frozen=True)
class Answer:
    """What has become of it."""

    data: bytes = b''
    """The part, as of `to_bytes`; empty if there is none."""
    frames: int = 0
    error: str = ''
    """Why there is none, in one line."""
    elsewhere: str = ''
    """Whether another worker may do better: 'file' cannot be seen here, or the 'pipeline' cannot be created."""
    worker: str = ''
    """Address of the worker."""


def analyse_part(order: Order) -> Answer:
    """Analyse a part in a worker of the cluster. Runs in any thread of it."""
    import cv2
    from distributed import get_worker

    worker = get_worker()
    cv2.setNumThreads(1)  # there are as many workers as the user wants processors to be used

    def progress(frames: int) -> None:
        worker.log_event(order.topic, {'key': order.name, 'frames': frames})
    return analyse(order, worker.address, progress)


def analyse(order: Order, worker: str = '', progress: Callable[[int], None] = lambda frames: None) -> Answer:
    """Analyse a part.

    Args:
        order: the task.
        worker: address of the worker.
        progress: called now and then with the number of frames analysed.
    """
    from fer_ros.recordings.part_analysis import analysed
    item = order.item
    try:
        size = int(item.identity().get('size', 0))
        item.local()
    except OSError as error:
        return Answer(error=told(item, error), elsewhere='file', worker=worker)
    if size != order.size:
        return Answer(error=f'{item.shown} has {size} bytes there, {order.size} here', elsewhere='file', worker=worker)
    try:
        analyser = _analyser(order.settings)
    except PipelineError as error:
        return Answer(error=' '.join(str(error).split()), elsewhere='pipeline', worker=worker)
    records, last = [], time.monotonic()
    try:
        with closing(open_reader(item, order.settings.topic, order.settings.hwaccel)) as reader:
            for record, _ in analysed(reader, order.part, order.settings, analyser):
                records.append(record)
                if time.monotonic() - last > REPORTS:
                    last = time.monotonic()
                    progress(len(records))
            result = PartResult(order.part.number, tuple(records), reader.report(), socket.gethostname())
    except (InputError, OSError) as error:
        return Answer(error=told(item, error), worker=worker)
    return Answer(to_bytes(result, order.key), len(records), worker=worker)


_mine = threading.local()
"""Of each thread, since an analyser must not be used from several: the newest and its settings."""


def _analyser(settings: Settings) -> 'FrameAnalyser':
    if getattr(_mine, 'settings', None) != settings:
        if hasattr(_mine, 'analyser'):
            _mine.analyser.close()
            del _mine.analyser, _mine.settings
        _mine.analyser = create_analyser(settings)
        _mine.settings = settings
    return _mine.analyser
