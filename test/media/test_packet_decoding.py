"""Video packets of topics, encoded by PyAV."""

from types import SimpleNamespace

import pytest

pytest.importorskip('av')

from encoded import grey, packets

from fer_ros.media.image_decoding import ConversionError, compressed_to_bgr
from fer_ros.media.packet_decoding import PacketDecoder, packet_format, packet_of

RAMP = [grey(20 + 5 * i) for i in range(40)]
ENCODERS = [('libx264', 'h264', {'g': '10'}), ('libvpx-vp9', 'vp9', {'g': '10'}),
            ('libx265', 'h265', {'x265-params': 'log-level=none:keyint=10:bframes=0:pools=none:frame-threads=1'}),
            ('libx264', 'h264', {'g': '10', 'preset': 'medium', 'tune': 'film', 'bf': '3', 'b-adapt': '0'})]


def decoded(decoder, sent):
    """Tags and levels of the images; errors."""
    found, errors = [], []
    for data, number, _ in sent:
        try:
            found += decoder.decode(data, number)
        except ConversionError as error:
            errors.append(str(error))
    found += decoder.flush()
    return {frame.tag: round((frame.image.mean() - 20) / 5) for frame in found}, errors


@pytest.mark.parametrize(('codec', 'kind', 'options'), ENCODERS)
def test_every_packet_gives_its_own_image(codec, kind, options):
    found, errors = decoded(PacketDecoder(kind), packets(RAMP, codec, options))
    assert sorted(found) == list(range(40))
    assert all(abs(level - number) <= 1 for number, level in found.items())
    assert not errors


@pytest.mark.parametrize(('codec', 'kind', 'options'), ENCODERS[:3])
def test_begins_at_a_key_frame(codec, kind, options):
    decoder = PacketDecoder(kind)
    found, errors = decoded(decoder, packets(RAMP, codec, options)[3:])
    assert sorted(found) == list(range(10, 40))
    assert decoder.waiting == 7
    assert not errors


@pytest.mark.parametrize(('codec', 'kind', 'options'), ENCODERS)
def test_damage_is_reported_and_ends_at_the_next_key_frame(codec, kind, options):
    sent = packets(RAMP, codec, options)
    place = next(i for i, (_, number, _) in enumerate(sent) if number == 12)
    sent[place] = (b'\0\0\0\1' + bytes([255] * 20), *sent[place][1:])
    found, _ = decoded(PacketDecoder(kind), sent)
    assert set(range(10)) | set(range(20, 40)) <= {*found, *range(7, 10)}
    assert all(abs(found[number] - number) <= 1 for number in (*range(7), *range(23, 40)))


def test_images_that_are_not_wanted_are_only_decoded():
    decoder, found = PacketDecoder('h264'), []
    for data, number, _ in packets(RAMP):
        found += decoder.decode(data, number, wanted=number % 4 == 0)
    assert [frame.tag for frame in found] == list(range(0, 40, 4))


@pytest.mark.parametrize(('text', 'expected'), [
    ('h264', 'h264'), ('H264', 'h264'), ('h.264', 'h264'), ('video/avc', 'h264'), ('h264_nvenc', 'h264'),
    ('libx264;yuv420p;bgr8;bgr8', 'h264'),
    ('x265', 'h265'), ('hevc_vaapi', 'h265'), ('hevc;p010', 'h265'),
    ('h265', 'h265'), ('vp9', 'vp9'), ('libvpx-vp9', 'vp9'), ('libsvtav1', 'av1'), ('av1', 'av1'), ('jpeg', ''),
    ('png', ''), ('', ''), ('bgr8; jpeg compressed bgr8', ''), ('16UC1; compressedDepth', '')])
def test_format_of_a_message(text, expected):
    assert packet_format(text) == expected


def test_message_with_an_unknown_format_is_refused():
    message = SimpleNamespace(header=None, encoding='theora', data=b'')
    with pytest.raises(ConversionError, match="video packets of format 'theora': supported are h264"):
        packet_of(message)
    with pytest.raises(ConversionError, match="'jpeg'"):
        packet_of(SimpleNamespace(timestamp=None, format='jpeg', data=b''))
    assert packet_of(SimpleNamespace(header=None, format='jpeg', data=b'1')) == ('', b'1')


def test_packets_as_images_are_refused_with_the_remedy():
    with pytest.raises(ConversionError, match=r'packets of a video, .* image_transport republish'):
        compressed_to_bgr(SimpleNamespace(format='h264', data=b'123'))
