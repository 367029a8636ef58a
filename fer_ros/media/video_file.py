"""Decodes a video file of any container and codec that FFmpeg knows, with exact times."""

import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from fer_ros.media.file_names import library_name
from fer_ros.media.hardware_decoding import accelerator
from fer_ros.media.image_decoding import MAX_PIXELS
from fer_ros.media.pyav import pyav
from fer_ros.media.video_frames import FrameConverter

CONTAINERS = ('mov', 'matroska', 'avi', 'asf', 'flv', 'ogg', 'mpegts', 'mpeg', 'mpegvideo', 'm4v', 'h263', 'h264',
              'hevc', 'vvc', 'av1', 'obu', 'ivf', 'mjpeg', 'jpeg_pipe', 'vc1', 'mxf', 'rm', 'nut', 'gif', 'apng', 'dv',
              'yuv4mpegpipe', 'wtv', 'nsv', 'gxf', 'dhav')
"""FFmpeg's names of the containers that are read. They hold their frames themselves: playlists and scripts, which would
make FFmpeg open other files and addresses, are not among them.
"""
PATIENCE = 60.0
"""Seconds for which a file system may keep a read waiting."""
CUTTABLE = ('mov', 'matroska')
"""FFmpeg's names of the containers in which reading can begin at any key frame."""
_STALLS = 20
"""Errors of the container without a packet in between after which the rest of a file is given up."""


class VideoFileError(ValueError):
    """A file cannot be opened as a video; the message says why, on one line, if that is known."""


class VideoFile:
    """A video file, read once from its beginning.

    Each frame is decoded by `advance` and converted by `image`, so that skipping is cheap. Decoding uses one thread
    (more where the video is coded in slices): frame threads take a tenth more processor time and hold more frames, and
    decoding is no more than a tenth of the work on a frame.

    What is damaged is left out: packets that cannot be decoded, and frames that the decoder has made up in part.

    Args:
        path: the file.
        containers: FFmpeg's names of the containers that it may be.
        hwaccel: kind of device that decodes it, which `hardware_decoding.check` accepts; '': the processor.

    Raises:
        VideoFileError: no frame can be decoded.
        PyAvMissing: PyAV is not installed.
        OSError: the file cannot be read.
    """

    def __init__(self, path: Path, containers: tuple[str, ...] = CONTAINERS, hwaccel: str = '') -> None:
        self._av = pyav()
        self._stack = ExitStack()
        self.time_ns = 0
        """Presentation time of the present frame in nanoseconds; the first one is not always at 0."""
        self.end_s = 0.0
        """Latest presentation time so far in seconds, from the first frame."""
        self.damaged = 0
        """Number of packets and frames left out so far, of those that are shown at a time in `counted`."""
        self.counted = (-math.inf, math.inf)
        """Presentation times in nanoseconds: from the first on, before the second."""
        self._frame: Any = None
        self._decoded: Iterator[Any] = iter(())
        self._first_ns: int | None = None
        try:
            self._open(path, containers, hwaccel)
        except self._av.FFmpegError as error:
            self.close()
            if isinstance(error, OSError) and not isinstance(error, (EOFError, self._av.error.ArgumentError)):
                raise OSError(error.errno or 0, error.strerror, str(path)) from error
            raise VideoFileError('') from error
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path, containers: tuple[str, ...], hwaccel: str) -> None:
        name = self._stack.enter_context(library_name(path))
        options = {'protocol_whitelist': 'file', 'format_whitelist': ','.join(containers),
                   'max_pixels': str(MAX_PIXELS)}
        self._container = self._stack.enter_context(
            self._av.open(f'file:{name}', options=options, metadata_errors='replace', timeout=PATIENCE,
                          hwaccel=accelerator(hwaccel)))
        stream = self._container.streams.best('video')
        if stream is None or stream.disposition & self._av.stream.Disposition.attached_pic:
            raise VideoFileError('it contains no video')
        if stream.codec_context is None:
            raise VideoFileError('there is no decoder for its codec')
        self._stream = stream
        stream.codec_context.options = {'max_pixels': str(MAX_PIXELS)}
        self.codec: str = stream.codec_context.name
        """FFmpeg's name of the decoder."""
        self.rate = next((float(rate) for rate in (stream.guessed_rate, stream.average_rate)
                          if rate and 0 < rate <= 1000), 0.0)
        """Nominal frames per second; 0 if unknown."""
        self.duration_s = self._duration()
        """Seconds that the container announces; 0 if unknown."""
        self.expected = float(stream.frames or math.floor(self.duration_s * self.rate + 0.5))
        """Number of frames that the container announces, possibly an estimate; 0 if unknown."""
        self.size: tuple[int, int] = (stream.codec_context.width, stream.codec_context.height)
        """Width and height of the stored frames that the container announces, in pixels."""
        self._step_ns = round(1e9 / self.rate) if self.rate else round(1e9 / 30)
        self._convert = FrameConverter(stream.sample_aspect_ratio)
        self._decoded = self._decode()

    def _duration(self) -> float:
        if self._stream.duration:
            return float(self._stream.duration * self._stream.time_base)
        # Matroska: the container's own duration is that of its longest stream.
        own = re.fullmatch(r'(\d+):(\d+):(\d+(?:\.\d+)?)', self._stream.metadata.get('DURATION', '').rstrip('\0'))
        if own:
            return 3600 * int(own[1]) + 60 * int(own[2]) + float(own[3])
        return (self._container.duration or 0) / self._av.time_base

    def advance(self) -> bool:
        """Decode the next intact frame; false at the end."""
        frame = next(self._decoded, None)
        if frame is None:
            return False
        self._frame = frame
        time_ns = self._time_of(frame)
        self._first_ns = time_ns if self._first_ns is None else self._first_ns
        self.time_ns = time_ns
        self.end_s = max(self.end_s, (time_ns - self._first_ns) * 1e-9)
        return True

    def image(self) -> np.ndarray:
        """The present frame, uint8 (H, W, 3) BGR, upright and with square pixels."""
        return self._convert(self._frame)

    def _time_of(self, frame: Any) -> int:
        stamp = frame.dts if frame.pts is None else frame.pts
        if stamp is None:
            return 0 if self._first_ns is None else self.time_ns + self._step_ns
        return _nanoseconds(stamp, self._stream.time_base)

    def _count_damage(self, stamp: int | None) -> None:
        time_ns = self.time_ns if stamp is None else _nanoseconds(stamp, self._stream.time_base)
        self.damaged += self.counted[0] <= time_ns < self.counted[1]

    def seek(self, time_ns: int) -> None:
        """Continue with the last key frame that is shown at or before a presentation time, or with one near it.

        The containers find it only approximately: see `time_ns` after the next `advance`.

        Raises:
            VideoFileError: the container cannot be read from there.
        """
        try:
            self._container.seek(math.floor(Fraction(time_ns, 1_000_000_000) / self._stream.time_base),
                                 stream=self._stream, backward=True)
            self._stream.codec_context.flush_buffers()
        except self._av.FFmpegError as error:
            raise VideoFileError('it cannot be read from its middle') from error
        self._decoded = self._decode()

    def packets(self) -> 'PacketTimes | None':
        """The times of all frames, from the packets that were not read yet; nothing can be decoded afterwards.

        Returns:
            None where reading cannot begin in the middle: in containers without a reliable index, with frames without
            a time, and in damaged files.
        """
        if not any(name in CUTTABLE for name in self._container.format.name.split(',')):
            return None
        times, keys = [], []
        try:
            for packet in self._container.demux(self._stream):
                if not packet.size or packet.is_discard:
                    continue
                if packet.pts is None or packet.is_corrupt:
                    return None
                times.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
        except self._av.FFmpegError:
            return None
        base = self._stream.time_base
        return PacketTimes(np.sort(np.array(times, np.int64)), tuple(sorted(keys)), base) if times else None

    def _decode(self) -> Iterator[Any]:
        for packet in self._packets():
            try:
                frames = self._stream.codec_context.decode(packet)
            except MemoryError:
                raise
            except self._av.FFmpegError:
                self._count_damage(None if packet is None else packet.pts)
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self._count_damage(frame.pts)
                else:
                    yield frame

    def _packets(self) -> Iterator[Any]:
        stalls = 0
        while stalls < _STALLS:
            try:
                for packet in self._container.demux(self._stream):
                    stalls = 0
                    yield packet
                return
            except self._av.FFmpegError:  # after which the container continues where it can
                stalls += 1
                self._count_damage(None)
        yield None  # what the decoder still holds

    def close(self) -> None:
        """Release the file."""
        self._frame = None
        # It refers to this object: the decoder and its frames would stay until Python looks for cycles, which it
        # seldom does where few objects are large ones.
        self._decoded = iter(())
        self._stack.close()


@dataclass(frozen=True)
class PacketTimes:
    """When the frames of a file are shown, according to its packets."""

    times: np.ndarray
    """int64 (N,), ascending: of all frames, in units of `base`."""
    keys: tuple[int, ...]
    """Of the key frames, ascending."""
    base: Fraction
    """Seconds."""

    def nanoseconds(self, time: int) -> int:
        """A time of the packets in nanoseconds, as `VideoFile.time_ns` has it."""
        return _nanoseconds(time, self.base)


def _nanoseconds(stamp: int, base: Fraction) -> int:
    return round(Fraction(stamp) * base * 1_000_000_000)
