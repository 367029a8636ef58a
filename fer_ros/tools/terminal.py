"""What programs print about files of users: names may have characters that a terminal lacks, or that control it."""

import functools
import io
import sys
from collections.abc import Callable
from typing import ParamSpec

from fer_ros.media.file_names import utf8
from fer_ros.results.wire import shown

_P = ParamSpec('_P')
_LONGEST = 4000
"""Characters of a message."""


def replace_unprintable() -> None:
    """Let standard output and errors replace what the terminal cannot show, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')


def ends_on_ctrl_c(program: str) -> Callable[[Callable[_P, int]], Callable[_P, int]]:
    """Decorate the entry point of `program`, which returns its exit code: Ctrl-C is told in one line, and 130."""
    def decorate(main: Callable[_P, int]) -> Callable[_P, int]:
        @functools.wraps(main)
        def entry_point(*args: _P.args, **kwargs: _P.kwargs) -> int:
            try:
                return main(*args, **kwargs)
            except KeyboardInterrupt:
                print(f'{program}: interrupted', file=sys.stderr)
                return 130
        return entry_point
    return decorate


def visible(text: str) -> str:
    """`text` on one line of a terminal: bytes that are not UTF-8 as ``\\xe9``, without control characters."""
    return shown(utf8(text), _LONGEST)
