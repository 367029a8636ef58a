"""Which image messages cv_bridge converts, where it is installed: those that it converts right.

All others, and all where it is missing or cannot be loaded, are decoded by `fer_ros.media.image_decoding`. What
cv_bridge 4.1 does with each encoding stands in docs/configuration.md; a test compares both.
"""

import io
import sys
from contextlib import redirect_stderr
from functools import lru_cache
from typing import Any

import numpy as np
from rclpy.logging import get_logger

from fer_ros.media.image_decoding import MAX_PIXELS

_COLOURS = {'mono': 1, 'bgr': 3, 'rgb': 3, 'bgra': 4, 'rgba': 4,
            **{f'bayer_{pattern}': 1 for pattern in ('rggb', 'bggr', 'gbrg', 'grbg')}}
PIXEL_BYTES = {**{f'{name}8': channels for name, channels in _COLOURS.items()}, 'yuv422': 2, 'yuv422_yuy2': 2}
"""Encodings that cv_bridge converts as this package does, with their bytes per pixel. It refuses uyvy, yuyv and planar
YUV, takes 8UC1, 16UC3 and the like for no picture, and makes 16 bits dark whose content does not fill them."""
_OLD_NUMPY = np.lib.NumpyVersion(np.__version__) < '2.0.0'


@lru_cache(maxsize=1)
def cv_bridge() -> Any | None:
    """A `cv_bridge.CvBridge` that works, or None; the log says at DEBUG, once, which, and why."""
    logger = get_logger('image_conversion')
    try:
        with redirect_stderr(io.StringIO()):  # NumPy 2 writes half a page there about parts built for NumPy 1
            from cv_bridge import CvBridge
            bridge = CvBridge()
            # Its compiled part is loaded with the first conversion.
            picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
            if not np.array_equal(bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(picture, 'rgb8'), 'bgr8'),
                                  picture[..., ::-1]):
                raise RuntimeError('it gives another picture')
    except ModuleNotFoundError as error:
        logger.debug(f'images are converted without cv_bridge: no module {error.name}')
        return None
    except Exception as error:  # of every kind, from another package's compiled part
        logger.debug(f'images are converted without cv_bridge, which does not work here: {error!r}')
        return None
    logger.debug('images are converted by cv_bridge where it does that right')
    return bridge


def suits(message: Any) -> bool:
    """Whether cv_bridge converts this sensor_msgs/Image right. Where it does not, some of its pictures are skewed."""
    pixel = PIXEL_BYTES.get(message.encoding)
    if pixel is None or not 0 < message.width * message.height <= MAX_PIXELS:
        return False
    if message.encoding.startswith('yuv422') and message.width % 2:
        return False
    # It counts a row in whole pixels, and swaps bytes, single ones too, by a function that NumPy 2 has no more.
    own_order = bool(message.is_bigendian) == (sys.byteorder == 'big')
    return (message.is_bigendian in (0, 1) and (own_order or _OLD_NUMPY)
            and message.step % pixel == 0 and message.step >= message.width * pixel
            and len(message.data) >= message.height * message.step)
