"""Output files that are replaced atomically, so that no one sees a partial file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np


def partial(path: Path) -> Path:
    """The path under which `path` is written until it is complete: in the same folder, with the same suffix."""
    return path.with_name(f'{path.stem}.partial{path.suffix}')


@contextmanager
def completed(path: Path) -> Iterator[Path]:
    """A temporary path that is renamed to `path` if the block succeeds and removed if it fails."""
    temporary = partial(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def write_file(path: str | Path, data: bytes) -> None:
    """Write `data` so that at any time `path` is absent, the old file or the new one; create its folders."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with completed(path) as temporary:
        temporary.write_bytes(data)


def write_picture(path: Path, image: np.ndarray) -> None:
    """Write `image`, uint8 (H, W, 3) BGR, in the format given by the suffix. Raises OSError."""
    # cv2.imwrite does not report why it fails.
    good, data = cv2.imencode(path.suffix, image)
    if not good:
        raise OSError(f'cannot encode a {path.suffix} image of {image.shape}')
    path.write_bytes(data.tobytes())
