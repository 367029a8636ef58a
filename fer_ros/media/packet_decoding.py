"""Decodes topics of video packets: images that are coded as differences from earlier ones, such as H.264.

ROS is not needed: any object with the fields of the message is accepted.
"""

import re
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fer_ros.media.hardware_decoding import accelerator
from fer_ros.media.image_decoding import MAX_PIXELS, ConversionError
from fer_ros.media.packet_formats import FORMATS, packet_format
from fer_ros.media.pyav import PyAvMissing, pyav, reason
from fer_ros.media.video_frames import FrameConverter

_CODECS = {'h264': 'h264', 'h265': 'hevc', 'vp8': 'vp8', 'vp9': 'vp9', 'av1': 'libdav1d'}
"""FFmpeg's decoder of each format."""
_WAITING = 60
"""Packets that may be on their way through the decoder; no codec reorders more than 16 frames."""


class DecodedPacket(NamedTuple):
    """A frame out of a packet."""

    tag: Any
    """What `PacketDecoder.decode` was given with the packet."""
    image: np.ndarray
    """uint8 (H, W, 3) BGR."""


class PacketDecoder:
    """Decodes the packets of one topic, in their order.

    Frames before the first key frame, and after damage up to the next one, cannot be decoded and are left out.

    Args:
        packet_format: one of `FORMATS`.
        hwaccel: kind of device that decodes them, which `hardware_decoding.check` accepts; '': the processor.

    Raises:
        ConversionError: PyAV is not installed, or its FFmpeg has no such decoder.
    """

    def __init__(self, packet_format: str, hwaccel: str = '') -> None:
        self.format, self._hwaccel = packet_format, hwaccel
        self.waiting = 0
        """Number of packets left out because they came before a key frame."""
        try:
            self._av = pyav()
            self._context = self._create()
        except PyAvMissing as error:
            raise ConversionError(f'{packet_format} packets: {error}') from error
        except self._av.codec.codec.UnknownCodecError as error:
            raise ConversionError(f'{packet_format} packets: FFmpeg has no decoder for them ({error})') from error
        self._convert = FrameConverter()
        self._tags: dict[int, Any] = {}
        self._order: deque[int] = deque()
        self._number = 0
        self._intact = False

    def _create(self) -> Any:
        context = self._av.CodecContext.create(_CODECS[self.format], 'r', accelerator(self._hwaccel))
        context.options = {'max_pixels': str(MAX_PIXELS)}
        context.thread_type, context.thread_count = 'SLICE', 1  # frame threads would hold images back
        return context

    def decode(self, data: bytes, tag: Any = None, wanted: bool = True) -> Iterator[DecodedPacket]:
        """Decode a packet.

        Args:
            data: one encoded frame; H.264 and H.265 in Annex B, with the parameter sets before key frames.
            tag: given back with its frame, which may come after other packets if frames refer to later ones.
            wanted: whether its image is needed; otherwise it is decoded only for those that refer to it.

        Raises:
            ConversionError: the packet is damaged; the next key frame is awaited.
        """
        if not self._intact and not is_key_frame(self.format, data):
            self.waiting += 1
            return
        self._number += 1
        self._tags[self._number] = (tag, wanted)
        self._order.append(self._number)
        if len(self._order) > _WAITING:
            self._tags.pop(self._order.popleft(), None)
        packet = self._av.Packet(data)
        packet.pts = packet.dts = self._number
        yield from self._frames(packet)

    def flush(self) -> Iterator[DecodedPacket]:
        """The frames that the decoder still holds, after the last packet."""
        if self._intact:
            yield from self._frames(None)
            self.restart()

    def restart(self) -> None:
        """Forget all packets, as after a gap; the next key frame is awaited."""
        self._context = self._create()
        self._tags.clear()
        self._order.clear()
        self._intact = False

    def _frames(self, packet: Any) -> Iterator[DecodedPacket]:
        try:
            frames = self._context.decode(packet)
        except self._av.FFmpegError as error:
            began = self._intact
            self.restart()
            if not began and self.format in ('vp9', 'av1'):
                self.waiting += 1
                return
            raise ConversionError(f'{self.format} packet: {reason(error)}') from error
        self._intact = True
        for frame in frames:
            tag, wanted = self._tags.pop(frame.pts, (None, False))
            if frame.is_corrupt:
                self.restart()
                raise ConversionError(f'{self.format} packet: it is damaged, or one before it is missing')
            if wanted:
                yield DecodedPacket(tag, self._convert(frame))


def is_key_frame(packet_format: str, data: bytes) -> bool:
    """Whether decoding can begin with a packet of one of `FORMATS`."""
    data = bytes(data)
    if packet_format in ('h264', 'h265'):
        for match in re.finditer(b'\x00\x00\x01(.)', data, re.DOTALL):
            header = match[1][0]
            # An instantaneous refresh; of H.265 any picture of random access.
            if header & 31 == 5 if packet_format == 'h264' else 16 <= header >> 1 & 63 <= 21:
                return True
        return False
    if packet_format == 'vp8':
        return bool(data) and not data[0] & 1
    return True  # VP9 and AV1: the decoder refuses to begin with any other frame


def packet_of(message: Any) -> tuple[str, bytes]:
    """Format, one of `FORMATS`, and data of a message; the format is '' if it holds an image of its own.

    Args:
        message: of the type sensor_msgs/CompressedImage, foxglove_msgs/CompressedVideo or
            ffmpeg_image_transport_msgs/FFMPEGPacket.

    Raises:
        ConversionError: a format of packets that is not supported.
    """
    text = message.encoding if hasattr(message, 'encoding') else message.format
    found = packet_format(text)
    if (not found and not hasattr(message, 'header')) or (not found and hasattr(message, 'encoding')):
        raise ConversionError(f'video packets of format {text!r}: supported are {", ".join(FORMATS)}')
    return found, bytes(message.data)
