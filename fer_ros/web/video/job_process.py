"""The process of one job: analyses one video like process_video, within limits.

``python -m fer_ros.web.video.job_process`` is started by `fer_ros.web.video.jobs`. It reads an `Order` as a line of
JSON and ends when its standard input is closed, that is, with the program that started it. It writes a line for each
event:

    {"begun": true, "confined": …}           libraries and model are loaded; whether the kernel confines the process
    {"progress": [frames, fraction done]}
    {"done": {"frames": …, "seconds": …, "warning": …}}
    {"failed": reason, "values": {…}}        a name in `fer_ros.web.texts.VideoErrors` and its values
"""

import json
import os
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from fer_ros.perception import PipelineError
from fer_ros.recordings.inputs import Input, InputError
from fer_ros.web.video.confinement import bound_resources, confine
from fer_ros.web.video.uploads import DEMUXERS, RESERVE

REPORTS = 0.2
"""Seconds between two progress events."""
NAME = 'video'
"""Name of the results without suffix."""
RESULTS = 'results'
"""Folder of the results, in that of the job."""


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
    memory: int
    """Bytes."""
    file_size: int
    """Maximum size of a file in bytes."""
    niceness: int
    """Niceness added to that of the program."""
    clip_width: int
    clip_rate: float
    """Frame rate of the built-in clip, whose height is three quarters of its width."""


class Refused(Exception):
    """The video is rejected. The message is the name of the reason."""

    def __init__(self, reason: str, **values: float | str) -> None:
        super().__init__(reason)
        self.values = values


def main() -> None:
    """Entry point."""
    events = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    os.dup2(2, 1)  # libraries print to standard output
    order = Order(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_input, daemon=True).start()
    bound_resources(cpu_s=order.cpu_s, memory=order.memory, file_size=order.file_size,
                    niceness=order.niceness)
    try:
        _tell(events, done=_work(order, events))
    except Refused as refused:
        _tell(events, failed=str(refused), values=refused.values)
    except MemoryError:
        _tell(events, failed='memory', values={'megabytes': order.memory >> 20})
    except InputError as error:
        print(error, file=sys.stderr)
        _tell(events, failed='unreadable', values={})
    except OSError as error:
        print(error, file=sys.stderr)
        _tell(events, failed='disk', values={})
    except Exception as error:
        # OpenCV and torch have their own exceptions for lack of memory.
        if 'memory' not in str(error).lower():
            raise
        _tell(events, failed='memory', values={'megabytes': order.memory >> 20})


def _end_with_input() -> None:
    # Reads the descriptor, since the main thread may hold the lock of sys.stdin.
    while os.read(0, 1024):
        pass
    os._exit(1)


def _tell(events: TextIO, **event: object) -> None:
    print(json.dumps(event), file=events, flush=True)


def _work(order: Order, events: TextIO) -> dict:
    folder = Path(order.folder)
    libraries = tuple(Path(path) for path in sys.path if path not in ('', os.getcwd()))
    if order.video:
        # Unreadable files are reported at once. In a thread, since confinement is per thread and the main thread still
        # loads libraries.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(_check, folder / order.video, order, libraries).result()
    from fer_ros.recordings.processing import Settings, create_pipeline, process
    from fer_ros.web.video.playback import PlaybackWriter

    results = folder / RESULTS
    results.mkdir()
    settings = Settings(annotated=True, rotate=order.rotate)
    try:
        pipeline = create_pipeline(settings)
    except PipelineError as error:
        raise Refused('model', problem=' '.join(str(error).split())) from error
    with pipeline:
        _tell(events, begun=True, confined=confine(folder, libraries))
        path = folder / order.video if order.video else _write_clip(folder, order)
        last = 0.0

        def report(frames: int, share: float) -> bool:
            nonlocal last
            if time.monotonic() - last > REPORTS:
                last = time.monotonic()
                _tell(events, progress=[frames, share])
            return False

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
                playback.add(image, frame)

            summary = process(Input(str(path), NAME, 'video'), results, settings, pipeline, report, watch)
    return {'frames': summary['frames'], 'seconds': summary['duration_s'],
            'warning': '; '.join(filter(None, (summary['warning'].replace(str(path), 'The video'), *summary['hints'])))}


def _write_clip(folder: Path, order: Order) -> Path:
    from fer_ros.media.built_in_clip import BuiltInClip
    from fer_ros.media.video_writer import VideoWriter
    clip = BuiltInClip(order.clip_width, order.clip_width * 3 // 4, order.clip_rate)
    recorder = VideoWriter(folder / 'clip.mp4', clip.rate)
    for index, image in enumerate(clip):
        recorder.add(image, index / clip.rate)
    recorder.close()
    return recorder.path


def _check(path: Path, order: Order, libraries: tuple[Path, ...]) -> None:
    """Check that the video can be opened and is not too large according to its container, which may be wrong."""
    from fer_ros.media.video_file import VideoFile, VideoFileError
    confine(path.parent, libraries)
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
    finally:
        video.close()


def order_line(order: Order) -> str:
    """The line that `main` reads."""
    return json.dumps(asdict(order)) + '\n'


if __name__ == '__main__':
    main()
