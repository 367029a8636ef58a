"""Writes frames with stamps to a video file that browsers and phones play."""

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fer_ros.atomic_files import partial
from fer_ros.media.file_names import library_name
from fer_ros.media.pyav import PyAvMissing, pyav, reason

LONGEST_GAP = 5.0
"""Seconds; longer pauses between two frames are cut."""
ENCODERS: dict[str, dict[str, str]] = {
    'libx264': {'preset': 'veryfast', 'crf': '23'},
    'libopenh264': {},
    # Encoders of builds of FFmpeg without code under the GPL.
    'libvpx-vp9': {'deadline': 'realtime', 'cpu-used': '8', 'row-mt': '1', 'crf': '34', 'b': '0'},
}
"""FFmpeg's encoders with their options; the first that there is writes H.264, or VP9, both in MP4."""
QUICK = {'libx264': {'preset': 'superfast'}}
"""Other options where processor time matters more than size: about a third less of one, half more of the other."""
INDEX_FIRST = {'movflags': '+faststart'}
FRAGMENTS = {'movflags': '+frag_keyframe+delay_moov+default_base_moof', 'frag_duration': '1000000',
             'flush_packets': '1'}
"""Options of FFmpeg's MP4."""
_TIME_BASE = Fraction(1, 90_000)
"""Seconds; the unit of the times in the file."""
_THREADS = 2
"""Of the encoder; drawing the frames takes longer."""
_BT709 = 1
"""Number of ITU-T H.273 for primaries, transfer and matrix, and of the matrix in swscale."""


class VideoWriter:
    """Writes an .mp4 file (H.264, yuv420p, index first) whose frames are shown at their stamps.

    The file appears under its name when the writer is closed.

    Args:
        path: path of the file.
        rate: maximum frames per second; frames that come faster are left out.
        temporary: path of the file until it is complete; by default `partial` of `path`.
        longest_gap: seconds; after a longer pause the video goes on at once, as after a stamp that jumps back.
        fragmented: write the file in fragments of a second, each with its index, so that what a process that was
            killed has written can be played, and is kept after an error; `fer_ros.media.fragments.make_whole` makes
            an ordinary file of it.
        quick: encode with less effort.
    """

    def __init__(self, path: Path, rate: float, temporary: Path | None = None, longest_gap: float = LONGEST_GAP,
                 fragmented: bool = False, quick: bool = False):
        self.path, self.rate, self.longest_gap = Path(path), rate, longest_gap
        self._fragmented, self._quick = fragmented, quick
        self._temporary = temporary or partial(self.path)
        self._temporary.unlink(missing_ok=True)  # left by a process that was killed
        self.frames = 0
        """Number of frames written so far."""
        self._writer: _Encoder | None = None
        self._size = (0, 0)
        self._start = 0.0
        self._newest = 0.0
        self._shown = self._due = 0.0

    def add(self, image: np.ndarray, stamp: float) -> None:
        """Write a frame; it is left out if it comes too soon after the last one.

        Args:
            image: uint8 (height, width, 3) BGR. The first one determines the size of the video; others are scaled to
                it.
            stamp: seconds.

        Raises:
            OSError: the file cannot be written; it was removed.
        """
        if self._writer is None:
            self._open(image, stamp)
        elif stamp < self._newest or stamp > self._newest + self.longest_gap:
            self._start = stamp - self._shown - 1 / self.rate
            self._due = 0.0
        self._newest = stamp
        time = stamp - self._start
        if self.frames and time < self._due - 0.5 / self.rate:
            return
        # On average there are no more frames than `rate`, but jitter of the stamps leaves none out.
        self._due = max(self._due + 1 / self.rate, time + 0.5 / self.rate)
        self._shown = time
        frame = image if image.shape[1::-1] == self._size else cv2.resize(image, self._size)
        try:
            assert self._writer is not None
            self._writer.write(frame, time)
        except Exception as error:
            raise self._failed(error) from error
        self.frames += 1

    def _open(self, image: np.ndarray, stamp: float) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._size = image.shape[1], image.shape[0]
        try:
            self._writer = _Encoder(self._temporary, self._size, self.rate, self._fragmented, self._quick)
        except PyAvMissing as error:
            raise OSError(f'cannot write a video to {self.path}: {error}') from error
        except Exception as error:
            self._temporary.unlink(missing_ok=True)
            why = reason(error) if isinstance(error, pyav().FFmpegError) else str(error)
            raise OSError(f'cannot write a video of {self._size[0]}×{self._size[1]} to {self.path}: {why}') from error
        self._start = stamp

    def _failed(self, error: Exception) -> Exception:
        """Remove what cannot be completed."""
        if self._writer is not None:
            self._writer.abort()
            self._writer = None
        if not self._fragmented:
            self._temporary.unlink(missing_ok=True)
        if isinstance(error, pyav().FFmpegError):
            return OSError(getattr(error, 'errno', 0) or 0, f'the video cannot be written: {reason(error)}',
                           str(self.path))
        return error

    def close(self) -> None:
        """Complete the file; without any frame there is none.

        Raises:
            OSError: it cannot be completed; it was removed.
        """
        if self._writer is None:
            return
        try:
            self._writer.close()
        except Exception as error:
            raise self._failed(error) from error
        self._writer = None
        self._temporary.replace(self.path)


class _Encoder:
    """An open file of PyAV."""

    def __init__(self, path: Path, size: tuple[int, int], rate: float, fragmented: bool, quick: bool) -> None:
        self._av = av = pyav()
        self._container: Any = None
        name = next((name for name in ENCODERS if name in av.codec.codecs_available and _encodes(av, name)), '')
        if not name:
            raise ValueError(f'FFmpeg has none of the encoders {", ".join(ENCODERS)}')
        # Two pixels share their colour in each direction.
        self._border = size[0] % 2, size[1] % 2
        file, self._folder = kept_name(path)
        try:
            self._container = av.open(f'file:{file}', 'w', format=path.suffix.removeprefix('.').lower() or None,
                                      options=FRAGMENTS if fragmented else INDEX_FIRST)
            self._stream = stream = self._container.add_stream(name, rate=Fraction(rate).limit_denominator(1001))
            stream.width, stream.height = size[0] + self._border[0], size[1] + self._border[1]
            stream.pix_fmt = 'yuv420p'
            stream.options = {**ENCODERS[name], **(QUICK.get(name, {}) if quick else {})}
            context = stream.codec_context
            context.time_base, context.thread_count, context.gop_size = _TIME_BASE, _THREADS, round(5 * rate)
            # Frames that refer to later ones delay the times of decoding, by which players determine the length.
            context.max_b_frames = 0
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = 1
            self._converter = av.video.reformatter.VideoReformatter()
            self._container.start_encoding()
        except BaseException:
            self.abort()
            raise

    def write(self, image: np.ndarray, time: float) -> None:
        if any(self._border):
            image = cv2.copyMakeBorder(image, 0, self._border[1], 0, self._border[0], cv2.BORDER_REPLICATE)
        rgb = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image), 'bgr24')
        frame = self._converter.reformat(rgb, format='yuv420p', dst_colorspace=_BT709, threads=1)
        frame.pts, frame.time_base = round(time / _TIME_BASE), _TIME_BASE
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()
        self._release()

    def abort(self) -> None:
        """Close without completing the file."""
        if self._container is not None:
            with suppress(self._av.FFmpegError):  # what it reports is known
                self._container.close()
        self._release()

    def _release(self) -> None:
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None


def kept_name(path: Path) -> tuple[str, int | None]:
    """A name for `path` as of `library_name` that stays valid until the descriptor with it, if any, is closed.

    FFmpeg uses the name again when it moves the index to the beginning. Raises OSError.
    """
    with library_name(path) as file:
        if not file.startswith('/proc/self/fd/'):
            return file, None
        folder = os.dup(int(file.split('/')[4]))
        return f'/proc/self/fd/{folder}/{file.split("/", 5)[5]}', folder


def _encodes(av: Any, name: str) -> bool:
    try:
        av.Codec(name, 'w')
    except av.codec.codec.UnknownCodecError:
        return False
    return True
