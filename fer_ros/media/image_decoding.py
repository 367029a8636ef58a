"""Decodes sensor_msgs/Image and CompressedImage to BGR arrays.

ROS is not needed: any object with the same fields is accepted.

For all that cv_bridge does not convert correctly (`fer_ros.nodes.image_bridge`), and where there is no ROS.
rosbags-image is not used, since it ignores `step`. OpenCV converts the colours.
"""

import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import PIL.Image

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
        table |= {f'{bits}UC1': table[f'mono{bits}'], f'{bits}UC3': table[f'bgr{bits}'],
                  f'{bits}UC4': table[f'bgra{bits}']}
    return table


_PACKED = _encodings()
_PLANAR = {'nv21': 1.5, 'nv24': 3.0}
"""A plane of luma, then interleaved chroma; data length in units of height × step."""

ENCODINGS = (*_PACKED, *_PLANAR)
"""Every supported value of `encoding` in sensor_msgs/Image."""


def to_bgr(message: Any) -> np.ndarray:
    """Decode an Image message to uint8 (height, width, 3) BGR, C-contiguous; it may share memory with the message.

    16-bit values 0 to 65535 become 0 to 255. YUV is interpreted as ITU-R BT.601 in video range, as in OpenCV.

    Raises:
        ConversionError: an encoding that is no colour or grey picture, a size of zero, a step shorter than a row, or
            less data than height × step.
    """
    _check_size(message.width, message.height, _description(message))
    data = np.frombuffer(message.data, np.uint8)
    if message.encoding in _PLANAR:
        return _planar_to_bgr(message, data)
    if message.encoding not in _PACKED:
        raise ConversionError(f'{_description(message)}: unsupported encoding; '
                              f'publish one of {", ".join(ENCODINGS)}')
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
        image = image.astype(np.uint16, copy=False)  # native byte order
    if encoding.to_bgr is not None:
        image = cv2.cvtColor(image, encoding.to_bgr)
    return cv2.convertScaleAbs(image, alpha=255 / 65535) if encoding.dtype == 'u2' else image


def _planar_to_bgr(message: Any, data: np.ndarray) -> np.ndarray:
    height, width, step = message.height, message.width, message.step
    _check_data(message, width, int(height * step * _PLANAR[message.encoding]))
    if width % 2 or height % 2:
        raise ConversionError(f'{_description(message)}: width and height must be even')
    luma = data[:height * step].reshape(height, step)[:, :width]
    if message.encoding == 'nv21':
        chroma = data[height * step:height * step * 3 // 2].reshape(height // 2, step)[:, :width]
        code = cv2.COLOR_YUV2BGR_NV21
    else:  # OpenCV does not know nv24: every second chroma sample makes it nv12
        chroma = data[height * step:height * step * 3].reshape(height, step, 2)[::2, :width:2]
        code = cv2.COLOR_YUV2BGR_NV12
    return cv2.cvtColorTwoPlane(np.ascontiguousarray(luma), chroma.reshape(height // 2, width // 2, 2), code)


def compressed_to_bgr(message: Any) -> np.ndarray:
    """Decode a CompressedImage message in one of `COMPRESSED_FORMATS` to uint8 (height, width, 3) BGR.

    Raises:
        ConversionError: no such picture, or one of more than `MAX_PIXELS`.
    """
    description = f'compressed image of format {message.format!r} with {len(message.data)} bytes'
    data = np.frombuffer(message.data, np.uint8)
    try:
        with PIL.Image.open(io.BytesIO(data.tobytes()), formats=COMPRESSED_FORMATS) as header:  # reads the size only
            width, height = header.size
    except Exception as error:  # Pillow does not document which exceptions it raises
        raise ConversionError(f'{description}: not an image, or a damaged one; publish JPEG or PNG') from error
    _check_size(width, height, f'{description}, {width}×{height}')
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ConversionError(f'{description}: {error}') from error
    if image is None:
        raise ConversionError(f'{description}: the image is damaged')
    return image


def _check_size(width: int, height: int, description: str) -> None:
    if width < 1 or height < 1:
        raise ConversionError(f'{description}: the image is empty')
    if width * height > MAX_PIXELS:
        raise ConversionError(f'{description}: more than {MAX_PIXELS // 1_000_000} megapixels')


def _check_data(message: Any, row: int, needed: int) -> None:
    if message.step < row:
        raise ConversionError(f'{_description(message)}: step is shorter than a row of {row} bytes')
    if len(message.data) < needed:
        raise ConversionError(f'{_description(message)}: {needed} bytes of data are needed')


def _description(message: Any) -> str:
    return (f'{message.encoding!r} image of {message.width}×{message.height} with step {message.step} and '
            f'{len(message.data)} bytes')
