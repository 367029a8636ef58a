"""What programs print about files of users: names may have characters that a terminal lacks, or that control it."""

import io
import sys

from fer_ros.media.file_names import utf8
from fer_ros.results.wire import shown

_LONGEST = 4000
"""Characters of a message."""


def replace_unprintable() -> None:
    """Let standard output and errors replace what the terminal cannot show, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')


def visible(text: str) -> str:
    """`text` on one line of a terminal: bytes that are not UTF-8 as ``\\xe9``, without control characters."""
    return shown(utf8(text), _LONGEST)
