"""PyAV, the binding of FFmpeg that decodes and encodes all video.

It is imported when the first video is opened: cameras and pictures work without it, and only processes that need
FFmpeg load its libraries. OpenCV contains an FFmpeg of its own; the two do not meet.
"""

from typing import Any


class PyAvMissing(ImportError):
    """PyAV is not installed; the message names the remedy."""


def pyav() -> Any:
    """The module `av`. Raises PyAvMissing."""
    try:
        import av
    except ImportError as error:
        raise PyAvMissing(f'video needs PyAV: `pip install av` ({error})') from error
    return av


def reason(error: Exception) -> str:
    """What FFmpeg says of an error, on one line, without the name of the file or an address with its password."""
    return ' '.join(str(getattr(error, 'strerror', None) or type(error).__name__).split())
