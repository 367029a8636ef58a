"""Decodes sensor_msgs/Image and CompressedImage to BGR arrays.

ROS is not needed: any object with the same fields is accepted.

For all that cv_bridge does not convert correctly (`fer_ros.nodes.image_bridge`), and where there is no ROS.
rosbags-image is not used, since it ignores `step`. OpenCV converts the colours.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import PIL.Image

from fer_ros.media.grey_levels import full_range
from fer_ros.media.packet_formats import packet_format

MAX_PIXELS = 100_000_000
"""Larger images are rejected; a small compressed file could otherwise fill the memory."""

COMPRESSED_FORMATS = ('JPEG', 'PNG', 'TIFF')
"""Formats of compressed_image_transport. OpenCV supports more, but its JPEG 2000 decoder, for example, crashes on
damaged data.
"""


class ConversionError(ValueError):
    """A message contains no usable image; the text names its encoding and size and what is wrong."""


@dataclass(frozen=True)
class _Encoding:
    channels: int
    dtype: str = 'u1'
    to_bgr: int | None = None
    """OpenCV conversion code; None if the channels are already BGR."""
    even_width: bool = False


def _encodings() -> dict[str, _Encoding]:
    table = {
        'uyvy': _Encoding(2, to_bgr=cv2.COLOR_YUV2BGR_UYVY, even_width=True),
        'yuyv': _Encoding(2, to_bgr=cv2.COLOR_YUV2BGR_YUYV, even_width=True),
    }
    table['yuv422'], table['yuv422_yuy2'] = table['uyvy'], table['yuyv']
    for bits, dtype in ((8, 'u1'), (16, 'u2')):
        table |= {
            f'mono{bits}': _Encoding(1, dtype, cv2.COLOR_GRAY2BGR),
            f'bgr{bits}': _Encoding(3, dtype),
            f'rgb{bits}': _Encoding(3, dtype, cv2.COLOR_RGB2BGR),
            f'bgra{bits}': _Encoding(4, dtype, cv2.COLOR_BGRA2BGR),
            f'rgba{bits}': _Encoding(4, dtype, cv2.COLOR_RGBA2BGR),
            # ROS names the first two pixels of the first row, OpenCV the second and third of the second row.
            f'bayer_rggb{bits}': _Encoding(1, dtype, cv2.COLOR_BayerBG2BGR),
            f'bayer_bggr{bits}': _Encoding(1, dtype, cv2.COLOR_BayerRG2BGR),
            f'bayer_gbrg{bits}': _Encoding(1, dtype, cv2.COLOR_BayerGR2BGR),
            f'bayer_grbg{bits}': _Encoding(1, dtype, cv2.COLOR_BayerGB2BGR),
        }
        # The type names of OpenCV do not specify colour; its own order is BGR.
        table |= {f'{bits}UC3': table[f'bgr{bits}'], f'{bits}UC4': table[f'bgra{bits}']}
    return table | {'8UC1': table['mono8']}


_PACKED = _encodings()
_PLANAR = {'nv12': 1.5, 'nv21': 1.5, 'nv24': 3.0, 'i420': 1.5, 'yuv420': 1.5}
"""A plane of luma, then chroma, interleaved or (i420, which some drivers call yuv420) in two planes; data length in
units of height × step. height is that of the picture and step that of the luma plane; a step of 0, which some drivers
leave, stands for rows without padding."""
DEPTH = ('16UC1', '16SC1', '32SC1', '32FC1', '64FC1')
"""Distances, which are no picture. 16UC1 could be one, but is used for depth."""
_DEPTH_HINT = 'depth, which is no picture: use the colour topic of the camera, such as /camera/color/image_raw'

ENCODINGS = (*_PACKED, *_PLANAR)
"""Every supported value of `encoding` in sensor_msgs/Image."""


def to_bgr(message: Any, to_8_bits: Callable[[np.ndarray], np.ndarray] = full_range) -> np.ndarray:
    """Decode an Image message to uint8 (height, width, 3) BGR, C-contiguous; it may share memory with the message.

    YUV is interpreted as ITU-R BT.601 in video range, as in OpenCV.

    Args:
        message: of the type sensor_msgs/Image.
        to_8_bits: scales uint16 (height, width) or (height, width, channels) to uint8: `grey_levels.GreyLevels` by the
            content of a stream; by default 0 to 65535 become 0 to 255.

    Raises:
        ConversionError: an encoding that is no colour or grey picture, a size of zero, a step shorter than a row, or
            less data than height × step.
    """
    _check_size(message.width, message.height, _description(message))
    data = np.frombuffer(message.data, np.uint8)
    if message.encoding in _PLANAR:
        return _planar_to_bgr(message, data)
    if message.encoding not in _PACKED:
        raise ConversionError(f'{_description(message)}: {_why_unsupported(message.encoding)}')
    encoding = _PACKED[message.encoding]
    dtype = np.dtype(encoding.dtype).newbyteorder('>' if message.is_bigendian else '<')
    row = message.width * encoding.channels * dtype.itemsize
    _check_data(message, row, message.height * message.step)
    if encoding.even_width and message.width % 2:
        raise ConversionError(f'{_description(message)}: two pixels share their colour, so the width must be even')
    if encoding.dtype == 'u2' or encoding.to_bgr is not None or message.step != row:
        rows = data[:message.height * message.step].reshape(message.height, message.step)[:, :row]
        data = np.ascontiguousarray(rows)
    shape = (message.height, message.width, encoding.channels)
    image = data[:message.height * row].view(dtype).reshape(shape if encoding.channels > 1 else shape[:2])
    if encoding.dtype == 'u2':
        image = to_8_bits(image.astype(np.uint16, copy=False))  # native byte order
    return image if encoding.to_bgr is None else cv2.cvtColor(image, encoding.to_bgr)


def _planar_to_bgr(message: Any, data: np.ndarray) -> np.ndarray:
    height, width, step = message.height, message.width, message.step or message.width
    if width % 2 or height % 2:
        raise ConversionError(f'{_description(message)}: width and height must be even')
    _check_data(message, width, int(height * step * _PLANAR[message.encoding]), step)
    luma = data[:height * step].reshape(height, step)[:, :width]
    if message.encoding in ('i420', 'yuv420'):
        if step % 2:
            raise ConversionError(f'{_description(message)}: step must be even, since colour rows are half as long')
        halves = data[height * step:height * step * 3 // 2].reshape(height, step // 2)[:, :width // 2]
        planes = np.concatenate([luma.ravel(), halves.ravel()]).reshape(height * 3 // 2, width)
        return cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420)
    if message.encoding in ('nv12', 'nv21'):
        chroma = data[height * step:height * step * 3 // 2].reshape(height // 2, step)[:, :width]
        code = cv2.COLOR_YUV2BGR_NV12 if message.encoding == 'nv12' else cv2.COLOR_YUV2BGR_NV21
    else:  # OpenCV does not know nv24: every second chroma sample makes it nv12
        chroma = data[height * step:height * step * 3].reshape(height, step, 2)[::2, :width:2]
        code = cv2.COLOR_YUV2BGR_NV12
    return cv2.cvtColorTwoPlane(np.ascontiguousarray(luma), chroma.reshape(height // 2, width // 2, 2), code)


def compressed_to_bgr(message: Any, to_8_bits: Callable[[np.ndarray], np.ndarray] = full_range) -> np.ndarray:
    """Decode a CompressedImage message in one of `COMPRESSED_FORMATS` to uint8 (height, width, 3) BGR.

    Args:
        message: of the type sensor_msgs/CompressedImage.
        to_8_bits: as for `to_bgr`, for PNG and TIFF files of 16 bits.

    Raises:
        ConversionError: no such picture, a depth image, or one of more than `MAX_PIXELS`.
    """
    description = f'compressed image of format {message.format!r} with {len(message.data)} bytes'
    if packet_format(message.format):
        raise ConversionError(f'{description}: packets of a video, of which none may be missing, are decoded in bags '
                              'only: decode them before, for example with image_transport republish')
    if message.format.partition(';')[0].strip() in DEPTH:
        raise ConversionError(f'{description}: {_DEPTH_HINT}')
    data = np.frombuffer(message.data, np.uint8)
    try:
        (width, height), mode = header(data.tobytes(), COMPRESSED_FORMATS)
    except ConversionError as error:
        raise ConversionError(f'{description}: {error}; publish JPEG or PNG') from error
    _check_size(width, height, f'{description}, {width}×{height}')
    if mode == 'F':  # floating-point numbers
        raise ConversionError(f'{description}: {_DEPTH_HINT}')
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise ConversionError(f'{description}: {error}') from error
    if image is None:
        raise ConversionError(f'{description}: the image is damaged')
    if image.dtype not in (np.uint8, np.uint16):
        raise ConversionError(f'{description}: its pixels are {image.dtype}, not of 8 or 16 bits')
    return to_8_bits(image) if image.dtype == np.uint16 else image


def header(data: bytes, formats: tuple[str, ...]) -> tuple[tuple[int, int], str]:
    """Width and height of a picture file in pixels, and Pillow's mode, without decoding it.

    Raises:
        ConversionError: it is of none of these formats of Pillow, or damaged.
    """
    try:
        with PIL.Image.open(io.BytesIO(data), formats=formats) as picture:
            return picture.size, picture.mode
    except Exception as error:  # Pillow does not document which exceptions it raises
        raise ConversionError('not an image, or a damaged one') from error


def _check_size(width: int, height: int, description: str) -> None:
    if width < 1 or height < 1:
        raise ConversionError(f'{description}: the image is empty')
    if width * height > MAX_PIXELS:
        raise ConversionError(f'{description}: more than {MAX_PIXELS // 1_000_000} megapixels')


def _why_unsupported(encoding: str) -> str:
    if encoding in DEPTH:
        return _DEPTH_HINT
    meant = f'; do you mean {encoding.lower()}?' if encoding.lower() in ENCODINGS else ''
    return f'unsupported encoding{meant}; publish one of {", ".join(ENCODINGS)}'


def _check_data(message: Any, row: int, needed: int, step: int | None = None) -> None:
    step = message.step if step is None else step
    if step < row:
        raise ConversionError(f'{_description(message)}: step is shorter than a row of {row} bytes')
    if len(message.data) < needed:
        planar = '; height is that of the picture, without rows for its colours' if message.encoding in _PLANAR else ''
        raise ConversionError(f'{_description(message)}: {needed} bytes of data are needed{planar}')


def _description(message: Any) -> str:
    return (f'{message.encoding!r} image of {message.width}×{message.height} with step {message.step} and '
            f'{len(message.data)} bytes')
