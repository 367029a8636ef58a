"""Videos to upload: good, damaged, and files that only claim to be videos."""

import struct
import sys
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'recordings'))

from videos import clip_frames, cut, index_first, write_video

RATE = 10.0


def two_faces(path: Path) -> Path:
    """Three seconds, small; after about half of them the smiling face leaves."""
    frames = [cv2.resize(frame, (320, 240), interpolation=cv2.INTER_AREA) for frame in clip_frames(6.5, 9.5, RATE)]
    return write_video(path, frames, RATE)


def playlist(path: Path, target: str) -> Path:
    """An HLS playlist, which FFmpeg follows whatever its name."""
    path.write_text(f'#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n')
    return path


def avi_with_playlist(path: Path, good: Path, target: str) -> Path:
    """The AVI file `good` with subtitles (a GAB2 chunk in a text stream) that are a playlist: older FFmpeg opens it."""
    text = playlist(path, target).read_bytes()
    gab2 = b'GAB2\x00\x02\x00' + struct.pack('<I', 2) + b's\x00' + b'\x04\x00' + struct.pack('<I', len(text)) + text
    data = bytearray(good.read_bytes())
    header = b'strh' + struct.pack('<I', 56) + b'txts' + b'\x00' * 16 + struct.pack('<II', 1, 1) + b'\x00' * 28
    stream = b'LIST' + struct.pack('<I', 4 + len(header) + 8) + b'strl' + header + b'strf' + struct.pack('<I', 0)
    size, = struct.unpack_from('<I', data, 16)
    assert data[12:16] == b'LIST' and data[20:24] == b'hdrl'
    struct.pack_into('<I', data, 16, size + len(stream))
    data[20 + size:20 + size] = stream
    movi = data.index(b'movi')
    chunk = b'01tx' + struct.pack('<I', len(gab2)) + gab2 + b'\x00' * (len(gab2) % 2)
    size, = struct.unpack_from('<I', data, movi - 4)
    struct.pack_into('<I', data, movi - 4, size + len(chunk))
    data[movi + 4:movi + 4] = chunk
    struct.pack_into('<I', data, 4, len(data) - 8)
    path.write_bytes(data)
    return path


__all__ = ['RATE', 'avi_with_playlist', 'clip_frames', 'cut', 'index_first', 'playlist', 'two_faces', 'write_video']
