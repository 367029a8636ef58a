"""Which files belong to a bag, and what they contain."""

from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from fer_ros.media.containers import BAGS, Container, container, container_of
from fer_ros.media.frame_sources import natural_order

SUFFIXES = ('.mcap', '.db3', '.bag')
"""Suffixes of bags, where the first bytes do not tell."""


def is_bag_folder(folder: Path) -> bool:
    """Whether the metadata.yaml in `folder` is that of a rosbag2 recording, or storage files lie beside it."""
    try:
        return ('rosbag2_bagfile_information' in (folder / 'metadata.yaml').read_text(errors='replace')
                or bool(storage_files(folder)))
    except OSError:
        return False


def storage_files(folder: Path) -> list[Path]:
    """The files in `folder` that contain messages, compressed or not, in natural order. Raises OSError."""
    return sorted((path for path in folder.iterdir() if path.is_file() and is_storage(path)), key=natural_order)


def is_storage(path: Path) -> bool:
    """Whether a file is a bag or a part of one, compressed or not. Raises OSError."""
    found, suffixes = container(path), [suffix.lower() for suffix in path.suffixes]
    if found == 'sqlite3':
        return suffixes[-1:] == ['.db3'] or has_topics(path)
    if found == 'zstd':
        found = unpacked_container(path)
    else:
        suffixes = suffixes[-1:]
    return found in BAGS or (not found and any(suffix in SUFFIXES for suffix in suffixes))


def listed_files(folder: Path) -> list[Path] | None:
    """The storage files that the metadata.yaml in `folder` lists; None if it lists none that can be understood."""
    from ruamel.yaml import YAML
    try:
        metadata: Any = YAML(typ='safe').load((folder / 'metadata.yaml').read_text())
        # Old recordings have paths relative to another folder.
        return [folder / PurePath(name).name for name in metadata['rosbag2_bagfile_information']['relative_file_paths']]
    except Exception:  # empty or damaged files raise many: YAMLError, UnicodeDecodeError, TypeError, KeyError …
        return None


def has_topics(path: Path) -> bool:
    """Whether an sqlite3 file has the table of topics of rosbag2. Raises OSError."""
    with path.open('rb') as file:
        return b'topics' in file.read(4096)  # its first page contains the definitions of the tables


def unpacked_container(path: Path) -> Container:
    """What a file compressed with Zstandard contains; '' if it is damaged or of no known format. Raises OSError."""
    try:
        zstd = _zstd()
    except ImportError:  # without rosbags no bag can be read either
        return ''
    with path.open('rb') as file:
        try:
            return container_of(zstd.ZstdDecompressor().decompress(file.read(1 << 20), 512))
        except zstd.ZstdError:
            return ''


def unpack(path: Path, target: Path) -> bool:
    """Decompress a file as far as it is intact; False if that is not to its end. Raises OSError."""
    zstd = _zstd()
    with path.open('rb') as packed, target.open('wb') as file:
        try:
            with zstd.open(packed, 'rb') as stream:
                while data := stream.read1(1 << 20):
                    file.write(data)
        except (EOFError, zstd.ZstdError):
            return False
    return True


def decompressed(data: bytes) -> bytes:
    """A message compressed with Zstandard."""
    return _zstd().decompress(data)


def decompressor(name: str) -> Callable[[bytes, int], bytes]:
    """The decompression of chunks in mcap files; it returns what there is, at most so many bytes, if the data are cut.

    Raises:
        ValueError: an unknown compression.
    """
    if name == 'zstd':
        return lambda data, size: _zstd().ZstdDecompressor().decompress(data, size)
    if name == 'lz4':
        import lz4.frame  # installed with rosbags
        return lambda data, size: lz4.frame.LZ4FrameDecompressor().decompress(data, size)
    if name:
        raise ValueError(f'unknown compression {name!r}')
    return lambda data, size: data


def _zstd() -> Any:
    try:
        from compression import zstd  # Python 3.14
    except ImportError:
        from backports import zstd  # installed with rosbags
    return zstd
