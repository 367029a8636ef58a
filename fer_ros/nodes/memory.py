"""Give memory back to the system when models are let go of."""

import ctypes
import gc
import sys


def give_memory_back() -> None:
    """Collect what nothing refers to any more, and return free pages, which the C library would keep for later."""
    gc.collect()
    torch = sys.modules.get('torch')
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == 'linux':
        trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)  # glibc's; musl has none
        if trim is not None:
            trim(0)
