"""Converts sensor_msgs/Image and CompressedImage to BGR arrays, and back: by cv_bridge where it is right, else here.

See `fer_ros.nodes.image_bridge` for the choice, and `fer_ros.media.image_decoding` for the decoder.
"""

import array
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.logging import get_logger
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from fer_ros.media import image_decoding
from fer_ros.media.grey_levels import full_range
from fer_ros.media.image_decoding import ENCODINGS, MAX_PIXELS, ConversionError, compressed_to_bgr
from fer_ros.nodes.image_bridge import cv_bridge, suits

__all__ = ['ENCODINGS', 'MAX_PIXELS', 'ConversionError', 'compressed_to_bgr', 'to_bgr', 'to_message']


def to_bgr(message: Any, to_8_bits: Callable[[np.ndarray], np.ndarray] = full_range) -> np.ndarray:
    """The picture in `message`: uint8 (height, width, 3) BGR. As `fer_ros.media.image_decoding.to_bgr`.

    Raises:
        ConversionError: the message holds no picture that can be used.
    """
    if suits(message) and (bridge := cv_bridge()) is not None:
        try:
            return bridge.imgmsg_to_cv2(message, 'bgr8')
        except Exception as error:  # of another release that refuses more
            get_logger('image_conversion').debug(f'cv_bridge refuses {message.encoding}: {error!r}', once=True)
    return image_decoding.to_bgr(message, to_8_bits)


def to_message(image: np.ndarray, header: Header) -> Image:
    """Create a bgr8 message with a copy of `image`, uint8 (height, width, 3) BGR."""
    if (bridge := cv_bridge()) is not None:
        return bridge.cv2_to_imgmsg(image, 'bgr8', header)
    message = Image(header=header, height=image.shape[0], width=image.shape[1], encoding='bgr8', is_bigendian=0,
                    step=image.shape[1] * 3)
    data = array.array('B')  # any other type would be checked byte by byte: 46 ms for 640×480
    data.frombytes(np.ascontiguousarray(image).data)
    message.data = data
    return message
