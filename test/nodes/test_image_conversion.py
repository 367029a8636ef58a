import functools

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.image import message_to_cvimage
from sensor_msgs.msg import CompressedImage, Image
from skimage import data as pictures
from std_msgs.msg import Header

from fer_ros.media import image_decoding
from fer_ros.media.grey_levels import GreyLevels
from fer_ros.nodes.image_conversion import ENCODINGS, ConversionError, compressed_to_bgr, to_bgr, to_message


@pytest.fixture(scope='module')
def picture():
    """uint8 (64, 80, 3) BGR, smooth enough for mosaics and halved colours to come back nearly unchanged."""
    image = cv2.cvtColor(pictures.astronaut(), cv2.COLOR_RGB2BGR)
    return cv2.GaussianBlur(cv2.resize(image, (80, 64), interpolation=cv2.INTER_AREA), (0, 0), 5)


def message(rows: np.ndarray, encoding: str, width: int, height: int, *, padding=0, bigendian=False,
            extra=b'') -> Image:
    """An image message whose rows, (height, n) or more rows for planar encodings, are followed by `padding` bytes."""
    if rows.dtype == np.uint16:
        rows = rows.astype('>u2' if bigendian else '<u2')
    row_bytes = np.frombuffer(rows.tobytes(), np.uint8).reshape(rows.shape[0], -1)
    padded = np.hstack([row_bytes, np.full((rows.shape[0], padding), 255, np.uint8)])
    result = Image(header=Header(frame_id='camera'), encoding=encoding, width=width, height=height,
                   step=padded.shape[1], is_bigendian=int(bigendian))
    result.data.frombytes(padded.tobytes() + extra)
    return result


def mosaic(bgr: np.ndarray, pattern: str) -> np.ndarray:
    """Each pixel keeps the one channel that `pattern` (the first two pixels of the first two rows) names."""
    result = np.empty(bgr.shape[:2], bgr.dtype)
    for index, colour in enumerate(pattern):
        row, column = divmod(index, 2)
        result[row::2, column::2] = bgr[row::2, column::2, 'bgr'.index(colour)]
    return result


def yuv(bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Luma and the two chroma planes, all full size, ITU-R BT.601 in video range."""
    b, g, r = (bgr[..., i].astype(float) / 255 for i in range(3))
    y = 16 + 65.481 * r + 128.553 * g + 24.966 * b
    u = 128 - 37.797 * r - 74.203 * g + 112 * b
    v = 128 + 112 * r - 93.786 * g - 18.214 * b
    return tuple(np.rint(plane).clip(0, 255).astype(np.uint8) for plane in (y, u, v))


def encoded(bgr: np.ndarray, encoding: str) -> np.ndarray:
    """The rows of `bgr` in `encoding`, written down independently of the code under test."""
    wide = bgr.astype(np.uint16) * 257
    source = wide if '16' in encoding else bgr
    if encoding.startswith('bayer_'):
        return mosaic(source, encoding[6:10])
    name = encoding.rstrip('0123456789')
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    alpha = np.full((*bgr.shape[:2], 1), 7, source.dtype)
    y, u, v = yuv(bgr)
    height, width = y.shape
    half_u, half_v = (plane[:, ::2] for plane in (u, v))
    if encoding in ('uyvy', 'yuv422'):
        return np.stack([half_u, y[:, ::2], half_v, y[:, 1::2]], -1).reshape(height, -1)
    if encoding in ('yuyv', 'yuv422_yuy2'):
        return np.stack([y[:, ::2], half_u, y[:, 1::2], half_v], -1).reshape(height, -1)
    if encoding == 'nv21':
        return np.vstack([y, np.stack([v[::2, ::2], u[::2, ::2]], -1).reshape(height // 2, width)])
    if encoding == 'nv12':
        return np.vstack([y, np.stack([u[::2, ::2], v[::2, ::2]], -1).reshape(height // 2, width)])
    if encoding in ('i420', 'yuv420'):
        return np.vstack([y, *(plane[::2, ::2].reshape(height // 4, width) for plane in (u, v))])
    if encoding == 'nv24':
        return np.vstack([y, np.stack([u, v], -1).reshape(height * 2, width)])
    if name == 'mono' or encoding.endswith('UC1'):
        return grey.astype(np.uint16) * 257 if '16' in encoding else grey
    return {'bgr': lambda: source, 'rgb': lambda: source[..., ::-1],
            'bgra': lambda: np.concatenate([source, alpha], -1),
            'rgba': lambda: np.concatenate([source[..., ::-1], alpha], -1),
            }[{'3': 'bgr', '4': 'bgra'}.get(encoding[-1]) if 'UC' in encoding else name]()


def expected(bgr: np.ndarray, encoding: str) -> np.ndarray:
    grey = encoding.startswith('mono') or encoding.endswith('UC1')
    return cv2.cvtColor(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR) if grey else bgr


def assert_same_picture(image: np.ndarray, bgr: np.ndarray, encoding: str):
    assert image.shape == bgr.shape
    assert image.dtype == np.uint8
    assert image.flags['C_CONTIGUOUS']
    lossy = encoding.startswith(('bayer', 'nv', 'yu', 'uy', 'i420'))
    inside = (slice(2, -2), slice(2, -2)) if lossy else ...
    difference = np.abs(image[inside].astype(int) - bgr[inside].astype(int))
    assert difference.max() <= (12 if lossy else 0)
    assert difference.mean() <= (2 if lossy else 0)


@pytest.mark.parametrize(('encoding', 'padding'), [(encoding, padding) for encoding in ENCODINGS for padding in (0, 6)
                                                  if (encoding, padding) not in (('nv24', 6), ('i420', 6),
                                                                                 ('yuv420', 6))])  # see the next tests
def test_reads_every_encoding_also_with_padded_rows(picture, encoding, padding):
    image = to_bgr(message(encoded(picture, encoding), encoding, 80, 64, padding=padding))
    assert_same_picture(image, expected(picture, encoding), encoding)


def test_reads_nv24_whose_chroma_rows_are_two_steps_long(picture):
    y, u, v = yuv(picture)
    chroma = np.stack([u, v], -1).reshape(64, 160)
    data = np.concatenate([np.pad(y, ((0, 0), (0, 4))).ravel(), np.pad(chroma, ((0, 0), (0, 8))).ravel()])
    result = Image(encoding='nv24', width=80, height=64, step=84)
    result.data.frombytes(data.tobytes())
    assert_same_picture(to_bgr(result), picture, 'nv24')


def test_reads_i420_whose_chroma_rows_are_half_a_step_long(picture):
    y, u, v = yuv(picture)
    halves = [np.pad(plane[::2, ::2], ((0, 0), (0, 8))) for plane in (u, v)]
    data = np.concatenate([plane.ravel() for plane in (np.pad(y, ((0, 0), (0, 16))), *halves)])
    result = Image(encoding='i420', width=80, height=64, step=96)
    result.data.frombytes(data.tobytes())
    assert_same_picture(to_bgr(result), picture, 'i420')
    result.step = 95
    with pytest.raises(ConversionError, match='step must be even'):
        to_bgr(result)


@pytest.mark.parametrize('encoding', ['nv12', 'nv21', 'i420'])
def test_reads_planar_images_of_drivers_that_leave_step_at_zero(picture, encoding):
    sent = message(encoded(picture, encoding), encoding, 80, 64, extra=b'as large as the driver had memory')
    sent.step = 0
    assert_same_picture(to_bgr(sent), picture, encoding)


@pytest.mark.parametrize('encoding', ['nv12', 'i420'])
def test_a_height_that_counts_the_rows_of_the_colours_is_refused(picture, encoding):
    sent = message(encoded(picture, encoding), encoding, 80, 96)
    with pytest.raises(ConversionError, match='11520 bytes of data are needed; height is that of the picture'):
        to_bgr(sent)


@pytest.mark.parametrize('encoding', [e for e in ENCODINGS if '16' in e])
def test_reads_big_endian(picture, encoding):
    image = to_bgr(message(encoded(picture, encoding), encoding, 80, 64, padding=2, bigendian=True))
    assert_same_picture(image, expected(picture, encoding), encoding)


@pytest.mark.parametrize('encoding', ['mono8', 'bgr8', 'rgb8', 'bgra8', 'rgba8', 'mono16', 'rgb16', 'uyvy', 'yuyv',
                                      'bayer_rggb8', 'bayer_bggr8', 'bayer_gbrg8', 'bayer_grbg16'])
def test_agrees_with_rosbags_image_where_that_reads_the_encoding(picture, encoding):
    sent = message(encoded(picture, encoding), encoding, 80, 64)
    reference = message_to_cvimage(sent, 'bgr8')
    assert np.abs(to_bgr(sent).astype(int) - reference).max() <= 1  # it cuts 16 bits off, here they are rounded


def test_16_bits_are_scaled_to_the_full_range():
    rows = np.array([[0, 128, 32767, 65535]], np.uint16)
    assert to_bgr(message(rows, 'mono16', 4, 1))[0, :, 0].tolist() == [0, 0, 127, 255]


def test_more_data_than_needed_is_left_alone(picture):
    assert_same_picture(to_bgr(message(picture, 'bgr8', 80, 64, extra=b'tail')), picture, 'bgr8')


@pytest.mark.parametrize(('change', 'told'), [
    ({'width': 0}, 'empty'),
    ({'height': 0}, 'empty'),
    ({'step': 239}, 'shorter than a row of 240 bytes'),
    ({'step': 0}, 'shorter than a row'),
    ({'height': 65}, '15600 bytes of data are needed'),
    ({'step': 2**32 - 1}, 'bytes of data are needed'),
    ({'width': 2**32 - 1, 'height': 2**32 - 1, 'step': 2**32 - 1}, 'more than 100 megapixels'),
    ({'data': b''}, '15360 bytes of data are needed'),
    *(({'encoding': depth}, 'depth, which is no picture: use the colour topic of the camera')
      for depth in ('16UC1', '16SC1', '32FC1', '64FC1')),
    ({'encoding': 'BGR8'}, 'unsupported encoding; do you mean bgr8?'),
    ({'encoding': 'NV12'}, 'unsupported encoding; do you mean nv12?'),
    ({'encoding': 'yv12'}, 'unsupported encoding; publish one of'),
    ({'encoding': 'i420', 'height': 33}, 'must be even'),
    ({'encoding': 'nv12', 'width': 78, 'step': 77}, 'shorter than a row of 78 bytes'),
    ({'encoding': '8UC2'}, 'unsupported encoding'),
    ({'encoding': ''}, 'unsupported encoding'),
    ({'encoding': 'uyvy', 'width': 79}, 'the width must be even'),
    ({'encoding': 'nv21', 'height': 31}, 'must be even'),
    ({'encoding': 'nv24', 'height': 64, 'step': 240}, '46080 bytes of data are needed'),
])
def test_a_wrong_message_is_refused_and_named(picture, change, told):
    wrong = message(picture, 'bgr8', 80, 64)
    for name, value in change.items():
        setattr(wrong, name, value)
    with pytest.raises(ConversionError, match=told) as caught:
        to_bgr(wrong)
    assert f'{wrong.encoding!r} image of {wrong.width}×{wrong.height} with step {wrong.step}' in str(caught.value)


@given(encoding=st.sampled_from((*ENCODINGS, '16UC1', '32FC1', '', 'x')), width=st.integers(0, 9),
       height=st.integers(0, 9), step=st.integers(0, 40), length=st.integers(0, 400), bigendian=st.booleans())
def test_any_message_becomes_a_picture_of_its_size_or_an_error(encoding, width, height, step, length, bigendian):
    sent = Image(encoding=encoding, width=width, height=height, step=step, is_bigendian=int(bigendian))
    sent.data.frombytes(bytes(length))
    try:
        image = to_bgr(sent)
    except ConversionError:
        return
    assert image.shape == (height, width, 3)


def compressed(data: bytes, kind: str) -> CompressedImage:
    result = CompressedImage(format=kind)
    result.data.frombytes(data)
    return result


def test_reads_compressed_pictures(picture):
    png = cv2.imencode('.png', picture)[1].tobytes()
    jpeg = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
    assert np.array_equal(compressed_to_bgr(compressed(png, 'bgr8; png compressed bgr8')), picture)
    assert np.abs(compressed_to_bgr(compressed(jpeg, 'jpeg')).astype(int) - picture).max() < 20


@pytest.mark.parametrize('data', [b'', b'not a picture', b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff'])
def test_compressed_nonsense_is_refused_and_named(data):
    with pytest.raises(ConversionError, match=f"format 'jpeg' with {len(data)} bytes"):
        compressed_to_bgr(compressed(data, 'jpeg'))


@pytest.mark.parametrize(('values', 'kind', 'name'), [
    (np.float32, 'tiff', 'tiff'), (np.uint16, 'png', '16UC1; png compressed'),
    (np.uint16, 'png', '16UC1; compressedDepth png'), (np.uint16, 'png', '32FC1; compressedDepth')])
def test_compressed_depth_is_refused_with_a_hint(picture, values, kind, name):
    data = cv2.imencode(f'.{kind}', picture[..., 0].astype(values))[1].tobytes()
    with pytest.raises(ConversionError, match='depth, which is no picture: use the colour topic'):
        compressed_to_bgr(compressed(data, name))


def test_compressed_pictures_of_16_bits_are_scaled_as_others(picture):
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    for kind in ('png', 'tiff'):
        data = cv2.imencode(f'.{kind}', grey.astype(np.uint16) * 257)[1].tobytes()
        image = compressed_to_bgr(compressed(data, f'mono16; {kind} compressed'))
        assert_same_picture(image, expected(picture, 'mono16'), 'mono16')
    dark = compressed(cv2.imencode('.png', grey.astype(np.uint16) * 4)[1].tobytes(), 'mono16; png compressed')
    bright = compressed_to_bgr(dark, functools.partial(GreyLevels(), stamp=0.0))
    assert 230 < np.percentile(bright, 99.5) < 245


def test_half_a_png_is_refused_or_read_at_its_size(picture):
    png = cv2.imencode('.png', picture)[1].tobytes()
    try:
        assert compressed_to_bgr(compressed(png[:len(png) // 2], 'png')).shape == picture.shape
    except ConversionError as error:
        assert 'damaged' in str(error)


def test_a_huge_compressed_picture_is_refused_before_it_is_unpacked(picture, monkeypatch):
    png = cv2.imencode('.png', picture)[1].tobytes()
    monkeypatch.setattr(image_decoding, 'MAX_PIXELS', 80 * 64 - 1)
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('it was unpacked'))
    with pytest.raises(ConversionError, match='80×64: more than'):
        compressed_to_bgr(compressed(png, 'png'))


def test_to_message_and_back(picture):
    header = Header(frame_id='front')
    header.stamp.sec = 5
    sent = to_message(picture[:, ::-1], header)
    assert (sent.encoding, sent.width, sent.height, sent.step, sent.header) == ('bgr8', 80, 64, 240, header)
    assert np.array_equal(to_bgr(sent), picture[:, ::-1])
