"""Receives video files from browsers: limited in size, and identified by their content."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_ros.web.texts import VideoErrors

HEAD = 512
"""Number of bytes that identify the container."""
RESERVE = 1 << 30
"""Bytes of the disk that uploads and their results leave free."""
PATIENCE = 60.0
"""Seconds without data after which an upload is aborted."""
_BLOCK = 1 << 20
"""Number of bytes written at a time."""

DEMUXERS = {'mp4': 'mov', 'mkv': 'matroska', 'avi': 'avi', 'ogv': 'ogg', 'ts': 'mpegts', 'mpg': 'mpeg', 'flv': 'flv',
            'wmv': 'asf'}
"""The FFmpeg demuxer of each container."""

_MAGIC = ((b'\x1aE\xdf\xa3', 'mkv'), (b'OggS\x00', 'ogv'), (b'\x00\x00\x01\xba', 'mpg'), (b'FLV\x01', 'flv'),
          (bytes.fromhex('3026b2758e66cf11a6d900aa0062ce6c'), 'wmv'))
_MP4_BOXES = (b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip', b'pnot')


class UploadError(Exception):
    """The file is rejected; the message is for the user.

    Args:
        text: the message.
        status: status code of the HTTP response.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def container(head: bytes) -> str | None:
    """The container of a video file, a key of `DEMUXERS`, from its first `HEAD` bytes; None if it is none of them.

    Only files that contain their frames themselves are accepted. FFmpeg would also accept lists of other files and
    addresses (HLS playlists, concat scripts, SDP), whatever their names, and open what they refer to.
    """
    if head[4:8] in _MP4_BOXES:
        return 'mp4'
    if head[:4] == b'RIFF' and head[8:12] == b'AVI ':
        return 'avi'
    for first, packet in ((0, 188), (4, 192)):  # transport streams; those of Blu-ray have a time before each packet
        if len(head) > first + 2 * packet and all(head[first + i * packet] == 0x47 for i in range(3)):
            return 'ts'
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


async def receive(chunks: AsyncIterator[bytes], folder: Path, limit: int, announced: int = 0) -> tuple[Path, str]:
    """Write an upload to a new file in `folder`; nothing is left of a rejected one.

    Args:
        chunks: content of the file.
        folder: folder of the file.
        limit: maximum size in bytes.
        announced: size announced by the browser in bytes; 0 if unknown.

    Returns:
        Path of the file, with a fixed name, and its `container`.

    Raises:
        UploadError: it is too large for the limit or the disk, is not a video, or stalled.
    """
    path = folder / 'upload'
    try:
        with _writing():
            file = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb')  # noqa: SIM115
        with file:
            kind = await _receive(chunks, file, folder, limit, announced)
        named = path.with_suffix(f'.{kind}')  # some demuxers require the suffix
        with _writing():
            path.rename(named)
        return named, kind
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UploadError(VideoErrors.disk, 507) from error


async def _receive(chunks: AsyncIterator[bytes], file, folder: Path, limit: int, announced: int) -> str:
    _check(announced, limit, announced, folder)
    kind: str | None = None
    size, block = 0, bytearray()
    source = aiter(chunks)
    ended = False
    while not ended:
        try:
            chunk = await asyncio.wait_for(anext(source, None), PATIENCE)
        except asyncio.TimeoutError:
            raise UploadError(VideoErrors.upload_stopped, 408) from None
        ended = chunk is None
        block += chunk or b''
        size += len(chunk or b'')
        _check(size, limit, 0, folder)
        if kind is None and (len(block) >= HEAD or ended):
            kind = container(bytes(block[:HEAD]))
            if kind is None:
                raise UploadError(VideoErrors.empty if not block else VideoErrors.not_video, 415)
        if len(block) >= _BLOCK or ended:
            _check(size, limit, len(block), folder)
            with _writing():
                await asyncio.to_thread(file.write, block)
            block = bytearray()
    assert kind is not None  # it was determined when the upload ended, at the latest
    return kind


def _check(size: int, limit: int, to_write: int, folder: Path) -> None:
    if size > limit:
        raise UploadError(VideoErrors.too_large.format(megabytes=limit >> 20), 413)
    with _writing():
        if to_write and shutil.disk_usage(folder).free - to_write < RESERVE:
            raise UploadError(VideoErrors.disk, 507)
