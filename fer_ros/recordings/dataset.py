"""Where the tables over all recordings of an output folder lie.

They are in a folder of their own, because every other name may be that of a recording.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote
from zlib import crc32

TABLES = 'tables'
"""Folder of the tables in the output folder."""
FACES = 'faces'
"""Folder in `TABLES`: a dataset, partitioned by recording as Hive does."""
_RESERVED = '%=/\\:*?"\'<>|#[]{}+&~'
"""Characters that have a meaning in the paths of such a dataset or in patterns."""
_LONGEST = 240
"""Bytes of a folder's name; file systems allow 255."""


def faces_file(folder: Path, recording: str) -> Path:
    """The Parquet file with the faces of a recording; `folder` is the output folder."""
    name = ''.join(quote(c, safe='') if c in _RESERVED else c for c in recording)
    key = f'recording={name}'
    if len(key.encode()) > _LONGEST:  # the file has the whole name
        start = re.sub('%.?$', '', key.encode()[:_LONGEST - 10].decode(errors='ignore'))
        key = f'{start}_{crc32(recording.encode()):08x}'
    return folder / TABLES / FACES / key / 'faces.parquet'


def faces_files(folder: Path) -> Iterator[Path]:
    """All files of the dataset in the output folder, or of the dataset that `folder` itself is."""
    for root in (folder / TABLES / FACES, folder):
        yield from sorted(root.glob('recording=*/*.parquet'))


def forget(folder: Path, recording: str) -> None:
    """Take a recording out of the dataset, if it is in it. Raises OSError."""
    path = faces_file(folder, recording)
    if path.exists():
        path.unlink()
        with suppress(OSError):  # something else is in it
            path.parent.rmdir()
