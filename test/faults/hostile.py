"""Messages as a broken or hostile camera might send them: the same ones for the same seed."""

import random
import struct
import zlib
from array import array
from collections.abc import Iterator

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from fer_ros.media.built_in_clip import portraits
from fer_ros.nodes.image_conversion import ENCODINGS

STRANGE = ('', ' ', 'x', 'BGR8', 'bgr', 'bgr9', '8UC2', '8UC5', '8SC3', '16SC1', '32SC1', '32FC1', '32FC3', '64FC1',
           '64FC4', 'nv12', 'h264', 'bgr8; jpeg compressed bgr8', 'mono8\n', '🙂', '../../etc/passwd', '%s%n',
           'a' * 5000)
NUMBERS = (0, 1, 2, 3, 7, 255, 256, 640, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
"""For unsigned 32-bit fields; height × step of the large ones overflows 32 and 64 bits."""
SPECIAL = (float('nan'), float('inf'), float('-inf'), -0.0, 1e-45, 3.4e38)


def pixels(data: bytes) -> array:
    result = array('B')
    result.frombytes(data)
    return result


def raw(count: int, seed: int) -> Iterator[Image]:
    """Image messages: good ones of every encoding with some fields changed, and random ones."""
    rng = random.Random(seed)
    picture = cv2.resize(portraits()['astronaut'], (64, 48), interpolation=cv2.INTER_AREA).tobytes()
    makers = (_mutated, _mutated, _random, _floats, _huge)
    for _ in range(count):
        message = rng.choice(makers)(rng, picture)
        message.header = Header(frame_id=rng.choice(('camera', '', 'ü🙂', 'f' * 300)))
        message.header.stamp.sec = rng.choice((0, 1, -1, -2**31, 2**31 - 1, rng.randrange(2**31)))
        message.header.stamp.nanosec = rng.choice((0, 999_999_999, 2**32 - 1, rng.randrange(2**32)))
        yield message


def _mutated(rng: random.Random, picture: bytes) -> Image:
    encoding = rng.choice(ENCODINGS)
    fields = {'height': 48, 'width': 64, 'encoding': encoding, 'is_bigendian': 0,
              'step': 64 * rng.choice((1, 2, 3, 4, 6, 8))}
    data = picture * 4
    for _ in range(rng.randint(1, 3)):
        kind = rng.randrange(6)
        if kind == 0:
            fields[rng.choice(('height', 'width', 'step'))] = rng.choice(NUMBERS)
        elif kind == 1:
            name = rng.choice(('height', 'width', 'step'))
            fields[name] = max(0, fields[name] + rng.randint(-3, 3))
        elif kind == 2:
            fields['encoding'] = rng.choice((*STRANGE, *ENCODINGS))
        elif kind == 3:
            fields['is_bigendian'] = rng.choice((1, 2, 255))
        elif kind == 4:
            data = data[:rng.randrange(len(data) + 1)]
        else:
            data += rng.randbytes(rng.randrange(2000))
    return Image(data=pixels(data), **_unsigned(fields))


def _random(rng: random.Random, _: bytes) -> Image:
    fields = {name: rng.choice((rng.choice(NUMBERS), rng.randrange(40), rng.randrange(2**32)))
              for name in ('height', 'width', 'step')}
    return Image(encoding=rng.choice((*STRANGE, *ENCODINGS)), is_bigendian=rng.randrange(256),
                 data=pixels(rng.randbytes(rng.choice((0, 1, 100, 5000)))), **_unsigned(fields))


def _floats(rng: random.Random, _: bytes) -> Image:
    """Depth images, whose values need not be numbers, and the same bytes under another name."""
    kind = rng.choice(('f', 'd'))
    width, height = rng.randint(1, 64), rng.randint(1, 48)
    values = array(kind, (rng.choice((*SPECIAL, rng.gauss(0, 10))) for _ in range(width * height)))
    encoding = '32FC1' if kind == 'f' else '64FC1'
    return Image(encoding=rng.choice((encoding, encoding, *ENCODINGS)), width=width, height=height,
                 step=width * values.itemsize, data=pixels(values.tobytes()))


def _huge(rng: random.Random, picture: bytes) -> Image:
    """height × step or width × height beyond what any number type or memory holds."""
    large = (2**16, 2**20, 2**31 - 1, 2**31, 2**32 - 1)
    fields = {'height': rng.choice(large), 'width': rng.choice((1, 64, *large)), 'step': rng.choice((0, 192, *large))}
    return Image(encoding=rng.choice(ENCODINGS), is_bigendian=rng.randrange(2), data=pixels(picture), **fields)


def _unsigned(fields: dict) -> dict:
    return {name: min(value, 2**32 - 1) if isinstance(value, int) else value for name, value in fields.items()}


def compressed(count: int, seed: int) -> Iterator[CompressedImage]:
    """CompressedImage messages: damaged JPEG, PNG and TIFF, other formats, bombs, and no pictures at all."""
    rng = random.Random(seed)
    picture = cv2.resize(portraits()['astronaut'], (64, 48), interpolation=cv2.INTER_AREA)
    good = [cv2.imencode(suffix, picture)[1].tobytes() for suffix in ('.jpg', '.png', '.tiff')]
    other = [cv2.imencode(suffix, picture)[1].tobytes() for suffix in ('.jp2', '.bmp', '.webp', '.hdr', '.ppm')]
    bombs = [png_bomb(20_000, 20_000), png_bomb(2**31 - 1, 1), png_bomb(1, 2**31 - 1), jpeg_with_size(65_500, 65_500)]
    for number in range(count):
        data = (_damaged(rng, rng.choice(good)) if number % 2 else
                rng.choice((lambda: _damaged(rng, rng.choice(other)), lambda: rng.choice(bombs),
                            lambda: rng.randbytes(rng.choice((0, 1, 10, 1000))),
                            lambda: rng.choice(good)[:8] + rng.randbytes(200)))())
        yield CompressedImage(format=rng.choice(('jpeg', 'png', 'tiff', 'bgr8; jpeg compressed bgr8', *STRANGE)),
                              data=pixels(data))


def _damaged(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        if not changed:
            break
        # The first bytes hold the sizes.
        position = rng.randrange(min(len(changed), rng.choice((32, 200, len(data)))))
        kind = rng.randrange(4)
        if kind == 0:
            changed[position] = rng.randrange(256)
        elif kind == 1:
            changed[position] = rng.choice((0, 127, 128, 255))
        elif kind == 2:
            del changed[position:position + rng.choice((1, 4, 100))]
        else:
            changed[position:position] = rng.randbytes(rng.choice((1, 4, 50)))
    return bytes(changed[:rng.randrange(len(changed) + 1)] if rng.random() < 0.2 else changed)


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of some kilobytes whose header says so many pixels, all of the same grey."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    rows = zlib.compress(bytes(min(1 + width, 20_001) * min(height, 200)), 9)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0))
            + chunk(b'IDAT', rows) + chunk(b'IEND', b''))


def jpeg_with_size(width: int, height: int) -> bytes:
    """A small JPEG whose header says that it has so many pixels."""
    data = bytearray(cv2.imencode('.jpg', np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    start = data.index(b'\xff\xc0')
    data[start + 5:start + 9] = struct.pack('>HH', height, width)
    return bytes(data)
