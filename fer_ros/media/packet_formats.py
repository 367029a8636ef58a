"""Names of the formats of video packets in messages."""

import re

FORMATS = ('h264', 'h265', 'vp8', 'vp9', 'av1')
"""Formats of video packets."""
_NAMES = (('h264', r'[hx]\.?264|avc'),
          ('h265', r'[hx]\.?265|hevc'), ('vp8', 'vp8'), ('vp9', 'vp9'), ('av1', '(svt)?av1|aom av1'))


def packet_format(text: str) -> str:
    """One of `FORMATS`; '' for images that need no others.

    Args:
        text: ``format`` or ``encoding`` of a message, such as ``h264``, ``hevc_nvenc`` or ``libx264;yuv420p;bgr8``.
    """
    first = text.partition(';')[0].strip().lower()
    return next((name for name, pattern in _NAMES if re.search(rf'(^|[^a-z0-9]|lib)({pattern})($|[^a-z0-9])',
                                                               re.sub('[_-]', ' ', first))), '')
