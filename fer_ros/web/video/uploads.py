"""Video files from browsers: bounded while they come, and known as videos by their content."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_ros.web.texts import VideoErrors

HEAD = 512
"""Bytes that tell the container."""
RESERVE = 1 << 30
"""Bytes of the disk that uploads and their results leave free."""
PATIENCE = 60.0
"""Seconds without a byte after which an upload has ended."""
_BLOCK = 1 << 20
"""Bytes that are written at once."""

DEMUXERS = {'mp4': 'mov', 'mkv': 'matroska', 'avi': 'avi', 'ogv': 'ogg', 'ts': 'mpegts', 'mpg': 'mpeg', 'flv': 'flv',
            'wmv': 'asf'}
"""FFmpeg's name of what reads each of the containers."""

_MAGIC = ((b'\x1aE\xdf\xa3', 'mkv'), (b'OggS\x00', 'ogv'), (b'\x00\x00\x01\xba', 'mpg'), (b'FLV\x01', 'flv'),
          (bytes.fromhex('3026b2758e66cf11a6d900aa0062ce6c'), 'wmv'))
_MP4_BOXES = (b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip', b'pnot')


class UploadError(Exception):
    """The file is not taken; the text is for the person.

    Args:
        status: of the HTTP answer.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def container(head: bytes) -> str | None:
    """The kind of video file, a key of `DEMUXERS`, by its first bytes (`HEAD` are enough); None: it is none of them.

    Only files that hold their pictures themselves are known. FFmpeg would also take lists of other files and addresses
    (HLS playlists, concat scripts, SDP) for a video, whatever their names, and read what they name.
    """
    if head[4:8] in _MP4_BOXES:
        return 'mp4'
    if head[:4] == b'RIFF' and head[8:12] == b'AVI ':
        return 'avi'
    for first, packet in ((0, 188), (4, 192)):  # transport streams, of which a Blu-ray's has a time before each packet
        if len(head) > first + 2 * packet and all(head[first + i * packet] == 0x47 for i in range(3)):
            return 'ts'
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


async def receive(chunks: AsyncIterator[bytes], folder: Path, limit: int, announced: int = 0) -> tuple[Path, str]:
    """Write what comes to a new file in `folder`; what is refused leaves nothing behind.

    Args:
        chunks: the file's content.
        limit: bytes of the largest file.
        announced: bytes that the browser said would come; 0: it did not say.

    Returns:
        The file, of a fixed name, and its `container`.

    Raises:
        UploadError: it is too large, for the limit or for the disk, is no video, or stopped coming.
    """
    path = folder / 'upload'
    try:
        with _writing():
            file = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb')  # noqa: SIM115
        with file:
            kind = await _receive(chunks, file, folder, limit, announced)
        named = path.with_suffix(f'.{kind}')  # OpenCV's readers of some kinds want to see it
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
    kind, size, block = None, 0, bytearray()
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
    return kind


def _check(size: int, limit: int, to_write: int, folder: Path) -> None:
    if size > limit:
        raise UploadError(VideoErrors.too_large.format(megabytes=limit >> 20), 413)
    with _writing():
        if to_write and shutil.disk_usage(folder).free - to_write < RESERVE:
            raise UploadError(VideoErrors.disk, 507)
