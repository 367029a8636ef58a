"""Video decoders in hardware, such as NVDEC in NVIDIA's GPUs, as far as the present FFmpeg can use them."""

from typing import Any

from fer_ros.media.pyav import pyav, reason

_CODEC = 'h264'
"""What every such device decodes."""


class HardwareDecodingError(ValueError):
    """A device cannot be used; the message says why, and what to do, on one line."""


def known_devices() -> list[str]:
    """FFmpeg's names of the kinds of devices it can decode with, such as ``cuda``; none need be in this computer.

    Raises:
        PyAvMissing: PyAV is not installed.
    """
    return [config.device_type.name for config in pyav().Codec(_CODEC, 'r').hardware_configs if config.is_supported]


def check(device: str) -> None:
    """Check that this computer can decode with a kind of device; '' is the processor.

    Raises:
        HardwareDecodingError: it cannot.
        PyAvMissing: PyAV is not installed.
    """
    if not device:
        return
    known = known_devices()
    if device not in known:
        raise HardwareDecodingError(f'video cannot be decoded with {device!r}: this FFmpeg knows '
                                    f'{", ".join(known) or "no device for it"}; leave out --hwaccel')
    try:
        accelerator(device).create(pyav().Codec(_CODEC, 'r'))
    except pyav().FFmpegError as error:
        raise HardwareDecodingError(f'video cannot be decoded with {device!r} on this computer ({reason(error)}): '
                                    'install its driver, or leave out --hwaccel') from error


def accelerator(device: str) -> Any:
    """What PyAV takes to decode with a kind of device, and in software what it cannot decode; '': None."""
    return pyav().codec.hwaccel.HWAccel(device) if device else None
