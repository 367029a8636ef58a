"""File names as libraries written in C++ take them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def library_name(path: Path) -> Iterator[str]:
    """A name for `path` that FFmpeg opens as a file, valid within the block. Raises OSError.

    It is absolute, since FFmpeg takes what precedes the colon in ``12:30.mp4`` for a protocol. OpenCV crashes on names
    that are not UTF-8: then its folder, or the file itself, which must exist, is named by a descriptor of this process.
    """
    name = os.path.abspath(path)
    if _is_utf8(name):
        yield name
        return
    by_folder = _is_utf8(os.path.basename(name))
    descriptor = os.open(os.path.dirname(name) if by_folder else name, os.O_RDONLY)
    try:
        yield f'/proc/self/fd/{descriptor}' + (f'/{os.path.basename(name)}' if by_folder else '')
    finally:
        os.close(descriptor)


def _is_utf8(name: str) -> bool:
    try:
        return name.encode() == os.fsencode(name)  # they differ where the locale has another encoding
    except UnicodeEncodeError:
        return False


def utf8(text: str) -> str:
    """A text with names of files, to be shown: bytes that are not UTF-8 as ``\\xe9``."""
    return text.encode(errors='surrogateescape').decode(errors='backslashreplace')


def without_errno(error: BaseException) -> str:
    """The message of `error` on one line; that of an OSError without its number: ``out: No space left on device``."""
    if isinstance(error, OSError) and error.strerror:
        return f'{error.filename}: {error.strerror}' if error.filename is not None else error.strerror
    return ' '.join(str(error).split()) or type(error).__name__
