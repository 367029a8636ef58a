"""Recognises what a file contains by its first bytes, whatever its name is."""

from pathlib import Path
from typing import Literal

Container = Literal['mcap', 'rosbag1', 'sqlite3', 'zstd', 'archive', 'picture', 'video', '']

_HEAD = 512
"""Bytes that are read; enough for two packets of an MPEG transport stream."""
_BEGINNINGS: tuple[tuple[Container, int, tuple[bytes, ...]], ...] = (
    ('mcap', 0, (b'\x89MCAP',)),
    ('rosbag1', 0, (b'#ROSBAG V',)),
    ('sqlite3', 0, (b'SQLite format 3\0',)),
    ('zstd', 0, (b'\x28\xb5\x2f\xfd',)),
    # gzip, zip, bzip2, xz, 7-Zip, RAR, LZ4; tar
    ('archive', 0, (b'\x1f\x8b', b'PK\x03\x04', b'BZh', b'\xfd7zXZ\0', b'7z\xbc\xaf\x27\x1c', b'Rar!\x1a\x07',
                    b'\x04\x22\x4d\x18')),
    ('archive', 257, (b'ustar',)),
    # JPEG, PNG, TIFF; HEIF and AVIF
    ('picture', 0, (b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', b'II*\0', b'MM\0*')),
    ('picture', 4, (b'ftypheic', b'ftypheix', b'ftypmif1', b'ftypavif')),
    ('picture', 8, (b'WEBP',)),
    # MP4 and QuickTime; Matroska and WebM; AVI; Ogg; Flash; ASF; MPEG-1 and 2, H.264 and H.265 without a container;
    # MXF, RealMedia, Y4M, IVF, NUT, GIF, DV
    ('video', 4, (b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip', b'pnot')),
    ('video', 0, (b'\x1a\x45\xdf\xa3', b'OggS', b'FLV\x01', b'\x30\x26\xb2\x75\x8e\x66\xcf\x11', b'\x06\x0e\x2b\x34',
                  b'.RMF', b'YUV4MPEG2', b'DKIF', b'nut/multimedia', b'GIF8', b'\x1f\x07\0',
                  *(start + code for start in (b'\0\0\x01', b'\0\0\0\x01')
                    for code in (b'\xba', b'\xb3', b'\x09', b'\x27', b'\x67', b'\x40', b'\x42', b'\x46')))),
    ('video', 8, (b'AVI ', b'AVIX')),
)
_STREAMS_OF_JPEG = ('.mjpeg', '.mjpg')
"""Suffixes of JPEG pictures one after the other, which begin as a photo does."""
BAGS = ('mcap', 'rosbag1', 'sqlite3')


def container(path: Path) -> Container:
    """What the file at `path` contains; '' if its first bytes are of no known format. Raises OSError."""
    with path.open('rb') as file:
        head = file.read(_HEAD)
    found = container_of(head)
    return 'video' if found == 'picture' and path.suffix.lower() in _STREAMS_OF_JPEG else found


def container_of(head: bytes) -> Container:
    """What a file contains that begins with `head`; '' if it is of no known format."""
    for found, offset, beginnings in _BEGINNINGS:
        if head[offset:].startswith(beginnings):
            return found
    if head.startswith(b'BM') and head[6:10] == bytes(4):  # BMP: four reserved bytes
        return 'picture'
    # The packets of an MPEG transport stream have 188 bytes, in .m2ts files with four more before each.
    if any(head[first::step][:2] == b'GG' for first, step in ((0, 188), (4, 192))):
        return 'video'
    return ''
