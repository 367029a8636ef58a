"""Encodes videos and packets by PyAV for tests: plain grey frames, by whose level each is known."""

from fractions import Fraction

import av
import numpy as np

FAST = {'libx264': {'preset': 'ultrafast', 'crf': '18'},
        'libx265': {'preset': 'ultrafast', 'x265-params': 'log-level=none'},
        'libsvtav1': {'preset': '10', 'svtav1-params': 'lp=1'},
        'libvpx-vp9': {'deadline': 'realtime', 'cpu-used': '8'}}


def grey(level: int, width: int = 128, height: int = 96) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def write(path, images, times=None, codec='libx264', rate=10, options=None, time_base=None, prepare=lambda stream: None,
          pix_fmt='yuv420p', container_options=None, audio_s=0.0):
    """A video of `images`.

    Args:
        times: presentation times, in units of `time_base`; by default the number of the frame.
        time_base: by default 1 / `rate`.
        prepare: called with the stream before anything is encoded.
    """
    with av.open(str(path), 'w', options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.options = {**FAST.get(codec, {}), **(options or {})}
        stream.codec_context.time_base = time_base or Fraction(1, rate)
        prepare(stream)
        sound = container.add_stream('aac', rate=8000) if audio_s else None
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, 'bgr24')
            frame.pts = number if times is None else times[number]
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            for number in range(round(audio_s * 8000 / 1024)):
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
                samples.rate, samples.pts = 8000, 1024 * number
                container.mux(sound.encode(samples))
            container.mux(sound.encode())
    return path


def packets(images, codec='libx264', options=None, rate=10):
    """The encoded packets of `images` in the order of decoding, as (data, number of the frame, is a key frame)."""
    context = av.CodecContext.create(codec, 'w')
    context.height, context.width = images[0].shape[:2]
    context.pix_fmt = 'yuv420p'
    context.time_base = Fraction(1, rate)
    context.options = {**FAST.get(codec, {}), 'tune': 'zerolatency', **(options or {})}
    if 'vp9' in codec or 'av1' in codec:
        context.options = {**FAST.get(codec, {}), **(options or {})}
    found = []
    for number, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, 'bgr24')
        frame.pts = number
        found += [(bytes(packet), packet.pts, packet.is_keyframe) for packet in context.encode(frame)]
    return found + [(bytes(packet), packet.pts, packet.is_keyframe) for packet in context.encode()]
