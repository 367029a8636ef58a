"""Keeps the memory of a node small, and returns it to the operating system after models are released."""

import ctypes
import gc
import sys

_M_ARENA_MAX = -8
"""Of glibc's <malloc.h>."""
ARENAS = 2


def share_arenas() -> None:
    """Let all threads share a few of glibc's arenas; to be called before there are threads.

    The threads of each detector would get arenas of their own, of which most is not given back when the detector is
    closed: 8 MB each time that the node is configured.
    """
    if sys.platform == 'linux':
        mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, ARENAS)


def give_memory_back() -> None:
    """Collect garbage, and return free pages that the C library would otherwise keep."""
    gc.collect()
    torch = sys.modules.get('torch')
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == 'linux':
        trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)  # glibc's; musl has none
        if trim is not None:
            trim(0)
