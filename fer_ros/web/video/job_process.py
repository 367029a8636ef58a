"""The process of one job: analyses one video like process_video, within limits.

``python -m fer_ros.web.video.job_process BOUNDS`` is started by `fer_ros.web.video.jobs`, possibly before there is a
job: it loads libraries and model, and waits. Standard input has a line of JSON for each command:

    {"order": {…}}                           an `Order`, once
    {"stop": true}                           complete the results with what has been analysed

It ends after its order, and when its standard input is closed, that is, with the program that started it. It writes a
line for each event:

    {"ready": true}                          libraries and model are loaded
    {"begun": seconds, "confined": …}        the video is opened: its length, 0 if unknown; whether the kernel confines
                                             the process
    {"progress": [frames, fraction done]}
    {"done": {"frames": …, "seconds": …, "warning": …, "stopped": …}}
    {"failed": reason, "values": {…}}        a name in `fer_ros.web.texts.VideoErrors` and its values
"""

import json
import os
import queue
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from fer_ros.perception import PipelineError
from fer_ros.recordings.inputs import Input, InputError
from fer_ros.web.confined.confinement import bound_processor_time, bound_resources, confine
from fer_ros.web.video.uploads import DEMUXERS, RESERVE

if TYPE_CHECKING:
    from fer_ros.perception.pipeline import FacePipeline

REPORTS = 0.2
"""Seconds between two progress events."""
NAME = 'video'
"""Name of the results without suffix."""
RESULTS = 'results'
"""Folder of the results, in that of the job."""
_CLIP_FRAME = 222
"""Frame of the built-in clip with two faces."""


@dataclass(frozen=True)
class Bounds:
    """Limits of the process that hold from its start on."""

    memory: int
    """Bytes."""
    file_size: int
    """Maximum size of a file in bytes."""
    niceness: int
    """Niceness added to that of the program."""


@dataclass(frozen=True)
class Order:
    """The task of the process."""

    folder: str
    """Folder of the job, which contains everything that is written."""
    video: str
    """File in `folder`; empty: the built-in clip."""
    container: str
    """Container of the video, a key of `DEMUXERS`."""
    rotate: int
    """Degrees clockwise by which frames are turned, one of `fer_ros.media.rotation.ANGLES`."""
    seconds: float
    """Maximum duration of the video in seconds."""
    frames: int
    """Maximum number of frames."""
    pixels: int
    """Maximum number of pixels of a frame."""
    cpu_s: float
    """Maximum processor time of the process in seconds, including what it took before the order."""
    clip_width: int
    clip_rate: float
    """Frame rate of the built-in clip, whose height is three quarters of its width."""
    hide_faces: str
    """How faces are hidden in images: none, blur or cover."""


class Refused(Exception):
    """The video is rejected. The message is the name of the reason."""

    def __init__(self, reason: str, **values: float | str) -> None:
        super().__init__(reason)
        self.values = values


class _Events:
    """What the process tells; any thread may."""

    def __init__(self, file: TextIO, bounds: Bounds) -> None:
        self._file, self._bounds = file, bounds
        self._lock = threading.Lock()

    def tell(self, **event: object) -> None:
        with self._lock:
            print(json.dumps(event), file=self._file, flush=True)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Tells why the block failed, and ends the process."""
        try:
            yield
            return
        except Refused as refused:
            self.tell(failed=str(refused), values=refused.values)
        except MemoryError:
            self._no_memory()
        except InputError as error:
            print(error, file=sys.stderr)
            self.tell(failed='unreadable', values={})
        except OSError as error:
            print(error, file=sys.stderr)
            self.tell(failed='disk', values={})
        except Exception as error:
            # OpenCV and torch have their own exceptions for lack of memory.
            if 'memory' not in str(error).lower():
                traceback.print_exc()
                os._exit(1)
            self._no_memory()
        os._exit(0)

    def _no_memory(self) -> None:
        self.tell(failed='memory', values={'megabytes': self._bounds.memory >> 20})


class _Commands:
    """Reads the commands, in a thread, which also ends the process together with the program."""

    def __init__(self, events: _Events) -> None:
        self.orders: queue.SimpleQueue[tuple[Order, float]] = queue.SimpleQueue()
        """The order with the length of its video in seconds, 0 if unknown, once that has been checked."""
        self.stopped = threading.Event()
        self._events = events
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        rest = b''
        while data := os.read(0, 1 << 16):
            *lines, rest = (rest + data).split(b'\n')
            for command in map(json.loads, lines):
                if 'order' in command:
                    # In a thread of its own, since confinement is per thread, and at once, so that unreadable files
                    # are reported while the main thread still loads libraries.
                    threading.Thread(target=self._check, args=(Order(**command['order']),), daemon=True).start()
                else:
                    self.stopped.set()
        os._exit(1)

    def _check(self, order: Order) -> None:
        with self._events.failures():
            self.orders.put((order, _check(Path(order.folder, order.video), order) if order.video else 0.0))


def main() -> None:
    """Entry point."""
    bounds = Bounds(**json.loads(sys.argv[1]))
    events = _Events(os.fdopen(os.dup(1), 'w', encoding='utf-8'), bounds)
    os.dup2(2, 1)  # libraries print to standard output
    commands = _Commands(events)
    with events.failures():
        bound_resources(**asdict(bounds))
        pipeline = load()
        events.tell(ready=True)
        order, length = commands.orders.get()
        bound_processor_time(order.cpu_s)
        with pipeline:
            events.tell(done=_work(order, length, pipeline, events, commands.stopped))


def load() -> 'FacePipeline':
    """Create the pipeline and let it work once, so that nothing is left to be loaded when there is an order.

    Raises:
        Refused: it cannot be created.
    """
    import fer_ros.web.video.playback  # noqa: F401
    from fer_ros.media.built_in_clip import BuiltInClip
    from fer_ros.recordings.processing import Settings, create_pipeline

    try:
        pipeline = create_pipeline(Settings())
        pipeline.process(BuiltInClip().frame(_CLIP_FRAME), 0.0)
    except PipelineError as error:
        raise Refused('model', problem=' '.join(str(error).split())) from error
    return pipeline


def _work(order: Order, length: float, pipeline: 'FacePipeline', events: _Events, stopped: threading.Event) -> dict:
    from fer_ros.drawing.hidden_faces import FaceHider
    from fer_ros.recordings.processing import Settings, process
    from fer_ros.web.video.playback import PlaybackWriter

    folder = Path(order.folder)
    results = folder / RESULTS
    results.mkdir()
    confined = confine(folder, libraries())
    if order.video:
        path = folder / order.video
    else:
        path, length = _write_clip(folder, order)
    events.tell(begun=length, confined=confined)
    last, was_stopped = 0.0, False

    def report(frames: int, share: float) -> bool:
        nonlocal last, was_stopped
        if time.monotonic() - last > REPORTS:
            last = time.monotonic()
            events.tell(progress=[frames, share])
        was_stopped = stopped.is_set()
        return was_stopped

    hider = None if order.hide_faces == 'none' else FaceHider(order.hide_faces)
    with PlaybackWriter(folder) as playback:
        def watch(image, frame) -> None:
            if len(playback) >= order.frames:
                raise Refused('frames', frames=order.frames)
            if frame.stamp > order.seconds:
                raise Refused('length', seconds=order.seconds)
            if image.shape[0] * image.shape[1] > order.pixels:
                raise Refused('resolution', width=image.shape[1], height=image.shape[0], pixels=order.pixels)
            if shutil.disk_usage(folder).free < RESERVE // 2:
                raise Refused('disk')
            if hider is not None:  # in the image itself, which is also that of the annotated video
                hider.add(frame)
                hider.hide(image)
            playback.add(image, frame)

        summary = process(Input(str(path), NAME, 'video'), results, Settings(annotated=True, rotate=order.rotate),
                          pipeline, report, watch, complete_interrupted=True, quick=True)
    return {'frames': summary['frames'], 'seconds': summary['duration_s'], 'stopped': was_stopped,
            'warning': '; '.join(filter(None, (summary['warning'].replace(str(path), 'The video'), *summary['hints'])))}


def _write_clip(folder: Path, order: Order) -> tuple[Path, float]:
    """The built-in clip as a file, and its length in seconds."""
    from fer_ros.media.built_in_clip import BuiltInClip
    from fer_ros.media.video_writer import VideoWriter
    clip = BuiltInClip(order.clip_width, order.clip_width * 3 // 4, order.clip_rate)
    recorder = VideoWriter(folder / 'clip.mp4', clip.rate)
    for index, image in enumerate(clip):
        recorder.add(image, index / clip.rate)
    recorder.close()
    return recorder.path, len(clip) / clip.rate


def libraries() -> tuple[Path, ...]:
    """Where Python imports from, which `confine` is to leave readable."""
    return tuple(Path(path) for path in sys.path if path not in ('', os.getcwd()))


def _check(path: Path, order: Order) -> float:
    """Check that the video can be opened and is not too large according to its container, which may be wrong.

    Returns:
        Its length in seconds, 0 if unknown.
    """
    from fer_ros.media.video_file import VideoFile, VideoFileError
    confine(path.parent, libraries())
    try:
        video = VideoFile(path, (DEMUXERS[order.container],))
    except VideoFileError as error:
        raise Refused('unreadable') from error
    try:
        width, height = video.size
        if width * height > order.pixels:
            raise Refused('resolution', width=width, height=height, pixels=order.pixels)
        if video.duration_s > order.seconds:
            raise Refused('length', seconds=order.seconds)
        if video.expected > order.frames:
            raise Refused('frames', frames=order.frames)
        if not video.advance():
            raise Refused('unreadable')
        return max(0.0, video.duration_s)
    finally:
        video.close()


def order_line(order: Order) -> bytes:
    """The command that gives the process its task."""
    return json.dumps({'order': asdict(order)}).encode() + b'\n'


STOP_LINE = json.dumps({'stop': True}).encode() + b'\n'
"""The command that completes the results early."""


if __name__ == '__main__':
    main()
