"""Which images cv_bridge converts; and, where it is installed, that it and our decoder agree on them."""

import array
import sys

import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from fer_ros.media import image_decoding
from fer_ros.media.image_decoding import ENCODINGS, ConversionError
from fer_ros.nodes import image_bridge, image_conversion
from fer_ros.nodes.image_bridge import PIXEL_BYTES, suits

OWN_ORDER = int(sys.byteorder == 'big')
COLOURS = {'mono': 1, 'bgr': 3, 'rgb': 3, 'bgra': 4, 'rgba': 4}
CHANNELS = {'uyvy': 2, 'yuyv': 2, 'nv12': 1, 'nv21': 1, 'nv24': 1, 'i420': 1, 'yuv420': 1,
            **{f'{name}16': 2 * channels for name, channels in COLOURS.items()},
            **{name: 2 for name in ENCODINGS if name.startswith('bayer') and name.endswith('16')}}
"""Bytes per pixel, or of luma, of what cv_bridge is not asked for."""


def noise(encoding: str, width: int = 16, height: int = 8, *, padding: int = 0, bigendian: int = OWN_ORDER) -> Image:
    """Random bytes that are an image of this encoding; any bytes are."""
    pixel = PIXEL_BYTES.get(encoding) or CHANNELS.get(encoding) or int(encoding[-1]) * (2 if '16' in encoding else 1)
    step = width * pixel + padding
    rows = height * 3 if encoding == 'nv24' else height * 3 // 2 if CHANNELS.get(encoding) == 1 else height
    data = np.random.default_rng(7).integers(0, 256, step * rows, np.uint8)
    return Image(header=Header(frame_id='camera'), encoding=encoding, width=width, height=height, step=step,
                 is_bigendian=bigendian, data=array.array('B', data.tobytes()))


def every_image():
    for encoding in ENCODINGS:
        for width, height in ((16, 8), (2, 2), (6, 10)):
            for padding in (0, 1, 2, 3, 4, 5, 12, 24):
                for bigendian in (0, 1):
                    yield noise(encoding, width, height, padding=padding, bigendian=bigendian)


@pytest.mark.skipif(image_bridge.cv_bridge() is None, reason='cv_bridge is not installed, or does not work here')
def test_cv_bridge_and_our_decoder_agree_wherever_it_is_used():
    bridge = image_bridge.cv_bridge()
    used = set()
    for message in every_image():
        if suits(message):
            used.add(message.encoding)
            theirs, ours = bridge.imgmsg_to_cv2(message, 'bgr8'), image_decoding.to_bgr(message)
            assert theirs.shape == ours.shape
            assert theirs.dtype == np.uint8
            # Another build of OpenCV may round otherwise.
            assert np.abs(theirs.astype(int) - ours).max() <= (2 if 'yuv' in message.encoding else 1), message.encoding
    assert used == set(PIXEL_BYTES)


@pytest.mark.skipif(image_bridge.cv_bridge() is None, reason='cv_bridge is not installed, or does not work here')
def test_cv_bridge_is_left_out_only_where_it_is_wrong_or_refuses():
    """What it would say of the others; should a release mend one, this fails, and the choice can be widened.

    16 bits are left out, which it scales by their full range, whatever they hold.
    """
    bridge, mended = image_bridge.cv_bridge(), set()
    for message in every_image():
        if not suits(message) and message.encoding not in PIXEL_BYTES and not message.encoding.endswith('16'):
            try:
                theirs = bridge.imgmsg_to_cv2(message, 'bgr8')
            except Exception:
                continue
            if np.array_equal(theirs, image_decoding.to_bgr(message)):
                mended.add(message.encoding)
    assert not mended


@pytest.mark.skipif(image_bridge.cv_bridge() is None, reason='cv_bridge is not installed, or does not work here')
def test_messages_of_cv_bridge_are_ours(monkeypatch):
    picture = np.random.default_rng(3).integers(0, 256, (20, 31, 3), np.uint8)[:, ::2]
    theirs = image_conversion.to_message(picture, Header(frame_id='camera'))
    monkeypatch.setattr(image_conversion, 'cv_bridge', lambda: None)
    assert theirs == image_conversion.to_message(picture, Header(frame_id='camera'))


@pytest.mark.parametrize('encoding', PIXEL_BYTES)
def test_whole_pixels_in_the_machine_s_order_suit(encoding):
    assert suits(noise(encoding))
    assert suits(noise(encoding, padding=PIXEL_BYTES[encoding]))


@pytest.mark.parametrize('message', [
    *(noise(encoding) for encoding in ENCODINGS if encoding not in PIXEL_BYTES),
    noise('bgr8', padding=1), noise('bgra8', padding=3), noise('yuv422', width=5), noise('bgr8', bigendian=2),
    Image(encoding='32FC1', width=2, height=2, step=8, data=array.array('B', bytes(16))),
    Image(encoding='bgr8'), Image(encoding='bgr8', width=4, height=4, step=6, data=array.array('B', bytes(99))),
    Image(encoding='bgr8', width=4, height=4, step=12, data=array.array('B', bytes(47))),
    Image(encoding='bgr8', width=20_000, height=20_000, step=60_000)],
    ids=lambda m: f'{m.encoding} {m.width} {m.step}')
def test_what_cv_bridge_does_not_know_skews_or_should_not_see(message):
    assert not suits(message)


def test_bytes_in_the_other_order_need_the_old_numpy(monkeypatch):
    message = noise('mono8', bigendian=1 - OWN_ORDER)
    for old in (False, True):
        monkeypatch.setattr(image_bridge, '_OLD_NUMPY', old)
        assert suits(message) == old


class Bridge:
    """Answers with a picture that no decoder makes, or fails."""

    def __init__(self, error: Exception | None = None):
        self.error = error

    def imgmsg_to_cv2(self, message, encoding):
        if self.error:
            raise self.error
        return np.full((message.height, message.width, 3), 77, np.uint8)


def test_cv_bridge_converts_what_suits_and_our_decoder_the_rest(monkeypatch):
    monkeypatch.setattr(image_conversion, 'cv_bridge', Bridge)
    assert (image_conversion.to_bgr(noise('rgb8')) == 77).all()
    for message in (noise('rgb8', padding=2), noise('uyvy'), noise('nv21'), noise('i420'), noise('mono16')):
        assert np.array_equal(image_conversion.to_bgr(message), image_decoding.to_bgr(message))
    with pytest.raises(ConversionError, match='the image is empty'):
        image_conversion.to_bgr(Image(encoding='rgb8'))


def test_what_cv_bridge_refuses_our_decoder_reads(monkeypatch):
    monkeypatch.setattr(image_conversion, 'cv_bridge', lambda: Bridge(TypeError('no')))
    message = noise('bgra8')
    assert np.array_equal(image_conversion.to_bgr(message), image_decoding.to_bgr(message))


@pytest.mark.parametrize('code', ['', 'raise RuntimeError("broken")',
                                  'import sys; sys.stderr.write("long"); import no_such'])
def test_a_cv_bridge_that_does_not_load_is_done_without(tmp_path, monkeypatch, capfd, code):
    """Missing a part, failing, and as NumPy 2 fails: with half a page on standard error."""
    (tmp_path / 'cv_bridge.py').write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition('.')[0] == 'cv_bridge']:
        monkeypatch.delitem(sys.modules, name)
    assert image_bridge.cv_bridge.__wrapped__() is None
    assert capfd.readouterr().err == ''
