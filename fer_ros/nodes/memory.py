"""Keeps the memory of a node small, and returns it to the operating system after models are released."""

import ctypes
import gc
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
"""Of glibc's <malloc.h>."""
ARENAS = 2
KEPT = 1 << 28
"""Bytes that an arena keeps when they are freed, for the next image."""
AT_ONCE = 1 << 26
"""Bytes by which an arena grows, so that it is not grown anew for each image."""
LARGEST_KEPT = 1 << 25
"""Larger blocks are mapped and unmapped each time; it is the most that glibc allows."""


def tune_allocator() -> None:
    """Let glibc keep the memory of images, and share it between threads; to be called before there are threads.

    By default each image's buffers are mapped, filled page by page, and unmapped, which takes longer than copying the
    image. And the threads of each detector would get arenas of their own, of which most is not given back when the
    detector is closed: 8 MB each time that the node is configured.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None) if sys.platform == 'linux' else None  # musl has none
    if mallopt is not None:
        for option, value in ((_M_ARENA_MAX, ARENAS), (_M_MMAP_THRESHOLD, LARGEST_KEPT), (_M_TRIM_THRESHOLD, KEPT),
                              (_M_TOP_PAD, AT_ONCE)):
            mallopt(option, value)


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
