"""Frame sources: a camera, here or on the network, a video file, an image folder or the built-in clip. No ROS."""

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import PIL.Image

from fer_ros.media.built_in_clip import BuiltInClip
from fer_ros.media.containers import BAGS, container
from fer_ros.media.file_names import utf8, without_errno
from fer_ros.media.network_camera import NetworkCamera, NetworkCameraError, is_address
from fer_ros.media.pyav import PyAvMissing
from fer_ros.media.video_file import CONTAINERS, VideoFile, VideoFileError

STILL_RATE = 30.0
"""Frames per second of sources without a rate."""
PICTURES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
"""Suffixes of image files; a file that begins as one is taken for an image too, whatever its suffix."""
_RAW = ('.arw', '.cr2', '.dng', '.nef', '.orf', '.pef', '.rw2', '.srw')
"""Suffixes of raw photos, which begin as TIFF files do; OpenCV would decode their thumbnail."""
_UPRIGHT = {2: (None, 1), 3: (cv2.ROTATE_180, None), 4: (None, 0), 5: (cv2.ROTATE_90_CLOCKWISE, 1),
            6: (cv2.ROTATE_90_CLOCKWISE, None), 7: (cv2.ROTATE_90_CLOCKWISE, 0),
            8: (cv2.ROTATE_90_COUNTERCLOCKWISE, None)}
"""For each orientation of EXIF by how much the image is rotated, and along which axis it is mirrored then."""
_ORIENTATION = 0x0112
"""Tag of EXIF."""


class SourceError(Exception):
    """A source cannot be opened or has failed; the message is one line that names it and the remedy."""


class Source(Protocol):
    """A sequence of frames, uint8 (H, W, 3) BGR; their size may change in an image folder."""

    name: str
    """Name for log messages."""
    rate: float
    """Frames per second."""
    live: bool
    """Whether it is a camera, which delivers frames at its own rate and has no end."""

    @property
    def warning(self) -> str:
        """A problem that did not stop the source; empty if there was none."""

    def read(self) -> np.ndarray | None:
        """The next frame; None at the end, or of a camera that has no new one at present. Raises SourceError."""

    def skip(self) -> None:
        """Skip the next frame, which is cheaper than reading it."""

    def rewind(self) -> None:
        """Restart from the first frame. Raises SourceError."""

    def close(self) -> None:
        """Release the source."""


def open_source(video: str = '', *, rate: float = 0.0, width: int = 0, height: int = 0) -> Source:
    """Open a source and verify that it delivers frames.

    Args:
        video: camera number ('0'), device ('/dev/video0'), rtsp:// or http(s):// address of a camera, video file,
            image or image folder; empty or 'clip': the built-in clip.
        rate: frames per second; 0: the rate of the source, or `STILL_RATE`.
        width, height: pixels requested from a camera, or of the built-in clip; 0: its default.

    Raises:
        SourceError: the file or device does not exist, or contains no frames.
    """
    if video in ('', 'clip'):
        return ClipSource(BuiltInClip(width or 640, height or 480, rate or STILL_RATE))
    if is_address(video):
        return NetworkSource(video, rate)
    if video.isdecimal() or video.startswith('/dev/'):
        return CameraSource(video, rate, width, height)
    path = Path(video).expanduser()
    try:
        if path.is_dir():
            if (path / 'metadata.yaml').exists():
                raise SourceError(_play(path))
            return PictureSource(pictures(path), str(path), rate, _left_out(path))
        if not path.exists():
            raise SourceError(f'no video at {video}: give a camera number, a video file or an image folder')
        if not path.is_file():
            raise SourceError(f'{video} is not a regular file: give a camera number, a video file or an image folder')
        return PictureSource([path], str(path), rate) if is_picture(path) else VideoSource(path, rate)
    except OSError as error:
        raise SourceError(without_errno(error)) from error


def frames(source: Source, loop: bool = False) -> Iterator[np.ndarray]:
    """Every frame of `source`, repeatedly with `loop`; the source is closed afterwards."""
    try:
        while True:
            frame = source.read()
            if frame is None:
                if not loop and not source.live:
                    return
                source.rewind()
            else:
                yield frame
    finally:
        source.close()


class ClipSource:
    """The built-in clip."""

    name, live, warning = 'the built-in clip', False, ''

    def __init__(self, clip: BuiltInClip):
        self.rate = clip.rate
        self._clip = clip
        self._index = 0

    def read(self) -> np.ndarray | None:
        """Read the next frame; None at the end."""
        if self._index >= len(self._clip):
            return None
        self._index += 1
        return self._clip.frame(self._index - 1)

    def skip(self) -> None:
        """Skip the next frame."""
        self._index += 1

    def rewind(self) -> None:
        """Restart from the first frame."""
        self._index = 0

    def close(self) -> None:
        """Nothing to release."""


class PictureSource:
    """Image files, one frame each. A file that cannot be decoded is skipped, and `warning` reports it.

    Args:
        paths: the files.
        name: for messages.
        rate: frames per second; 0: `STILL_RATE`.
        warning: what else is to be reported.
    """

    live = False

    def __init__(self, paths: list[Path], name: str, rate: float = 0.0, warning: str = ''):
        self.name, self.rate, self.warning = utf8(name), rate or STILL_RATE, warning
        self._paths = paths
        self._index = 0
        if not self._paths:
            raise SourceError(f'no images in {name}: expected files ending in {", ".join(PICTURES)}')
        if self.read() is None:
            raise SourceError(f'none of the {len(paths)} images in {name} can be decoded: they are damaged or empty')
        self.rewind()

    def read(self) -> np.ndarray | None:
        """Read the next frame; None at the end."""
        while self._index < len(self._paths):
            path = self._paths[self._index]
            self._index += 1
            frame = read_picture(path)
            if frame is not None:
                return frame
            self.warning = f'{path} cannot be decoded and is skipped{remedy(path)}'
        return None

    def skip(self) -> None:
        """Skip the next frame."""
        self._index += 1

    def rewind(self) -> None:
        """Restart from the first frame."""
        self._index = 0

    def close(self) -> None:
        """Nothing to release."""


class VideoSource:
    """A video file. `warning` reports what is damaged, or missing at its end.

    Files are recognised by their first bytes: FFmpeg takes anything that contains JPEG images for a video of them.

    Args:
        path: the file.
        rate: frames per second; 0: that of the file.
        containers: FFmpeg's names of the containers that it may be.
        hwaccel: kind of device that decodes it, as of `VideoFile`.

    Raises:
        SourceError: it is no video, or no frame of it can be decoded.
    """

    live = False

    def __init__(self, path: Path, rate: float = 0.0, containers: tuple[str, ...] = CONTAINERS, hwaccel: str = ''):
        self.name, self.warning = utf8(str(path)), ''
        self._path, self._containers, self._hwaccel = path, containers, hwaccel
        self._video: VideoFile | None = None
        self._given_rate = rate
        self.rate = rate or STILL_RATE
        try:
            self._container = container(path)
        except OSError as error:
            raise SourceError(without_errno(error)) from error
        if self._container in BAGS:
            raise SourceError(_play(path))
        if self._container in ('archive', 'zstd'):
            raise SourceError(f'{path} is compressed or an archive: unpack it first')
        self.rewind()

    def rewind(self) -> None:
        """Restart from the first frame."""
        self.close()
        try:
            self._video = video = VideoFile(self._path, self._containers, self._hwaccel)
            first = video.advance()
        except PyAvMissing as error:
            raise SourceError(str(error)) from error
        except OSError as error:
            raise SourceError(without_errno(error)) from error
        except VideoFileError as error:
            raise self._refusal(str(error)) from error
        if not first:
            self.close()
            raise self._refusal()
        if not self._container and video.codec == 'mjpeg':
            self.close()
            raise SourceError(f'{self._path} contains JPEG images, but begins as no known video or bag does: it is '
                              'damaged or in an unsupported format')
        self.rate = self._given_rate or video.rate or STILL_RATE
        self.expected = video.expected
        """Number of frames announced by the container, possibly an estimate; 0 if unknown."""
        self.duration = video.duration_s
        """Seconds announced by the container; 0 if unknown."""
        self.size = video.size
        """Width and height of the stored frames announced by the container, in pixels."""
        self._count, self._waiting = 0, True

    def _refusal(self, why: str = '') -> SourceError:
        why = why or 'it is damaged, incomplete or in an unsupported format'
        return SourceError(f'{self._path} cannot be opened as a video: {why}')

    def read(self) -> np.ndarray | None:
        """Read the next frame; None at the end."""
        return self._video.image() if self._video is not None and self._advance(self._video) else None

    @property
    def time(self) -> float:
        """Presentation time of the last frame read, in seconds."""
        return self.time_ns * 1e-9

    @property
    def time_ns(self) -> int:
        """Presentation time of the last frame read, in nanoseconds."""
        return self._video.time_ns if self._video is not None else 0

    def skip(self) -> None:
        """Skip the next frame."""
        self.advance()

    def advance(self) -> bool:
        """Decode the next frame, which `image` converts; false at the end."""
        return self._video is not None and self._advance(self._video)

    def image(self) -> np.ndarray:
        """The last frame, uint8 (H, W, 3) BGR."""
        assert self._video is not None
        return self._video.image()

    def count_between(self, begin_ns: int | None, end_ns: int | None) -> None:
        """Count damage only in frames shown from one time on and before another, in ns; None: without a bound."""
        assert self._video is not None
        if begin_ns is not None:
            self._video.damaged = 0
        self._video.counted = (-math.inf if begin_ns is None else begin_ns, math.inf if end_ns is None else end_ns)

    def seek(self, time_ns: int) -> bool:
        """Continue with the key frame at or before a presentation time, as far as the container finds it.

        Returns:
            Whether reading goes on from there; otherwise the file must be read from its beginning (`rewind`).
        """
        assert self._video is not None
        try:
            self._video.seek(time_ns)
        except VideoFileError:
            return False
        self._waiting = False
        return True

    @property
    def damaged(self) -> int:
        """Number of damaged frames that were left out so far."""
        return 0 if self._video is None else self._video.damaged

    def _advance(self, video: VideoFile) -> bool:
        if self._waiting:  # the first frame, decoded when the file was opened
            self._waiting = False
            more = True
        else:
            more = video.advance()
        self._count += more
        if video.damaged or not more:
            self._warn(video, ended=not more)
        return more

    def _warn(self, video: VideoFile, ended: bool) -> None:
        self.warning = damage(self._path, self._count, video.damaged, self.expected,
                              video.end_s < 0.98 * self.duration - 2 / self.rate if ended else False)

    def close(self) -> None:
        """Release the file."""
        if self._video is not None:
            self._video.close()
            self._video = None


def damage(path: Path, count: int, damaged: int, expected: float, ends_early: bool) -> str:
    """What is damaged in a video file, or missing at its end; '' if nothing is.

    Args:
        path: the file.
        count: number of intact frames.
        damaged: number of frames left out.
        expected: number of frames that the container announces, 0 if unknown.
        ends_early: whether the last frame is well before the end that the container announces.
    """
    problems = []
    # Containers announce the number only approximately, and edit lists leave frames out.
    if ends_early and count + damaged < 0.98 * expected - 2:
        problems.append(f'{path} ends after {count} of {expected:.0f} frames: it is damaged')
    if damaged:
        were = 'frame was' if damaged == 1 else 'frames were'
        problems.append(f'{path}: {damaged} damaged {were} skipped')
    return '; '.join(problems)


class CameraSource:
    """A camera, by number or device file."""

    live, warning = True, ''

    def __init__(self, device: str, rate: float = 0.0, width: int = 0, height: int = 0):
        self.name = f'/dev/video{device}' if device.isdecimal() else device
        if not os.path.exists(self.name):
            there = ', '.join(sorted(map(str, Path('/dev').glob('video*')))) or 'none'
            raise SourceError(f'no camera at {self.name}: available cameras: {there}')
        with _quiet_opencv():
            self._capture = cv2.VideoCapture(self.name, cv2.CAP_V4L2)
        for key, value in ((cv2.CAP_PROP_FRAME_WIDTH, width), (cv2.CAP_PROP_FRAME_HEIGHT, height),
                           (cv2.CAP_PROP_FPS, rate)):
            if value:
                self._capture.set(key, value)
        if not self._capture.isOpened() or not self._capture.grab():
            self.close()
            raise SourceError(f'{self.name} delivers no frames: it is not a camera, it is used by another program, '
                              'or permission is missing (group video)')
        own = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = own if math.isfinite(own) and own > 0 else rate or STILL_RATE

    def read(self) -> np.ndarray:
        """Wait for the next frame. Raises SourceError."""
        frame = self._capture.read()[1]
        if frame is None:
            raise SourceError(f'{self.name} delivers no more frames: is it still connected?')
        return frame

    def skip(self) -> None:
        """Skip the next frame."""
        self._capture.grab()

    def rewind(self) -> None:
        """A camera cannot be rewound: continue with the next frame."""

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()


class NetworkSource:
    """A camera on the network. While it is disconnected, `warning` says why, and it is tried again."""

    live = True
    _WAIT = 0.5
    """Seconds for which `read` waits, so that a program can be stopped."""

    def __init__(self, address: str, rate: float = 0.0):
        try:
            self._camera = NetworkCamera(address)
        except (NetworkCameraError, PyAvMissing) as error:
            raise SourceError(str(error)) from error
        self.name = self._camera.name
        self.rate = self._camera.rate or rate or STILL_RATE

    @property
    def warning(self) -> str:
        """Why there is no connection at present; empty if there is one."""
        return self._camera.problem

    def read(self) -> np.ndarray | None:
        """Wait for a frame newer than the last; None if none comes soon."""
        return self._camera.newest(self._WAIT)

    def skip(self) -> None:
        """Skip the next frame."""
        self._camera.drop(self._WAIT)

    def rewind(self) -> None:
        """A camera cannot be rewound: continue with the next frame."""

    def close(self) -> None:
        """Close the connection."""
        self._camera.close()


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """No warnings about what is raised as an error."""
    logging: Any = cv2 if hasattr(cv2, 'getLogLevel') else getattr(cv2.utils, 'logging')  # noqa: B009  OpenCV 4 and 5
    level = logging.getLogLevel()
    logging.setLogLevel(0)
    try:
        yield
    finally:
        logging.setLogLevel(level)


def natural_order(path: Path) -> list:
    """Sort key of paths by name: 2 before 10."""
    return [(int(part), '') if part.isdecimal() else (-1, part) for part in re.split(r'(\d+)', path.name)]


def is_picture(path: Path) -> bool:
    """Whether a file is an image by its first bytes or, if these say nothing, by its suffix. Raises OSError."""
    found = container(path)
    return found == 'picture' or (not found and path.suffix.lower() in PICTURES)


def pictures(folder: Path) -> list[Path]:
    """Image files in `folder` in natural order, 2 before 10; each real file once. Raises OSError."""
    files: dict[tuple[int, int], Path] = {}
    for path in sorted(folder.iterdir(), key=Path.is_symlink):  # of a file and links to it, the file
        if path.is_file() and not path.name.startswith('.') and is_picture(path):
            status = path.stat()
            files.setdefault((status.st_dev, status.st_ino), path)
    return sorted(files.values(), key=natural_order)


def read_picture(path: Path) -> np.ndarray | None:
    """An image file as uint8 (H, W, 3) BGR, upright as its EXIF orientation says; None if it cannot be decoded."""
    if path.suffix.lower() in _RAW:
        return None
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        # OpenCV applies the orientation of some formats only.
        image: Any = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except (OSError, cv2.error):  # cv2.error: an empty file, or more pixels than OpenCV takes
        return None
    if image is None:
        return None
    rotation, axis = _UPRIGHT.get(_orientation(path), (None, None))
    image = image if rotation is None else cv2.rotate(image, rotation)
    return image if axis is None else cv2.flip(image, axis)


def _orientation(path: Path) -> int:
    try:
        with PIL.Image.open(path) as picture:  # reads the header only
            # OpenCV turns TIFF files in any case.
            return 1 if picture.format == 'TIFF' else picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow does not document which exceptions it raises; OpenCV has decoded the image
        return 1


def remedy(path: Path) -> str:
    """What to do with an image that cannot be decoded; '' if it is damaged."""
    if path.suffix.lower() in _RAW:
        return ': convert raw photos to JPEG'
    with suppress(OSError), path.open('rb') as file:
        if file.read(8)[4:] == b'ftyp':
            return ': convert HEIF and AVIF to JPEG'
    return ''


def _left_out(folder: Path) -> str:
    """Which videos and bags in a folder are not played with its images; '' if there are none."""
    names = sorted(path.name for path in folder.iterdir()
                   if path.is_file() and not is_picture(path) and container(path) not in ('', 'picture'))
    if not names:
        return ''
    more = f' and {len(names) - 5} more' if len(names) > 5 else ''
    return (f'only the images in {folder} are played; give videos one by one, and see process_video for bags: '
            f'{", ".join(names[:5])}{more}')


def _play(path: Path) -> str:
    return (f'{path} is a bag: play it with `ros2 bag play` (a ROS 1 bag after `rosbags-convert`), which publishes its '
            'images, or analyse it with process_video')
