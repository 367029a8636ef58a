"""Returns memory to the operating system after models are released."""

import ctypes
import gc
import sys


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
