"""Output files that are never seen half-written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np


def partial(path: Path) -> Path:
    """Where `path` is written until it is complete: beside it, with the same suffix."""
    return path.with_name(f'{path.stem}.partial{path.suffix}')


@contextmanager
def completed(path: Path) -> Iterator[Path]:
    """A path to write to, renamed to `path` when the block ends well and removed when it does not."""
    temporary = partial(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def write_file(path: str | Path, data: bytes) -> None:
    """Write `data` so that `path` is at every moment either absent, the old or the new file; make its folders."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with completed(path) as temporary:
        temporary.write_bytes(data)


def write_picture(path: Path, image: np.ndarray) -> None:
    """Write `image`, uint8 BGR, in the format that the suffix names. Raises OSError."""
    # cv2.imwrite tells no reason when it fails.
    good, data = cv2.imencode(path.suffix, image)
    if not good:
        raise OSError(f'cannot encode a {path.suffix} image of {image.shape}')
    path.write_bytes(data)
