"""Cameras on the network: rtsp:// and http(s):// addresses."""

import threading
import time
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from fer_ros.media.image_decoding import MAX_PIXELS
from fer_ros.media.pyav import pyav, reason
from fer_ros.media.urls import scheme, shown
from fer_ros.media.video_frames import FrameConverter

SCHEMES = ('rtsp', 'rtsps', 'http', 'https')
PATIENCE = 10.0
"""Seconds without an answer or a frame after which a connection is given up."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between two attempts to connect: doubled after each that fails, up to the longest."""
_PROTOCOLS = 'http,https,tcp,tls,udp,rtp,rtsp,rtsps,crypto,httpproxy'
"""Of FFmpeg. Without `file`: no answer makes it open files of this machine."""
_CONTAINERS = 'rtsp,mpjpeg,mjpeg,jpeg_pipe,mpegts,h264,hevc,matroska,flv,mov,ogg,asf,hls'


class NetworkCameraError(Exception):
    """The address cannot be used; the message is one line without user name, password and query of the address."""


def is_address(video: str) -> bool:
    """Whether `video` is an address of a network camera."""
    return scheme(video) in SCHEMES


class NetworkCamera:
    """Receives frames in a thread of its own and keeps the newest. It connects again whenever the connection is lost.

    Args:
        address: with user name and password where they are needed.

    Raises:
        NetworkCameraError: the first connection fails, or the address is of a video that ends, not of a camera.
        PyAvMissing: PyAV is not installed.
    """

    def __init__(self, address: str) -> None:
        self._av = pyav()
        self._address, self.name = address, shown(address)
        if not urlsplit(f'//{self.name.partition("://")[2]}').hostname:
            raise NetworkCameraError(f'{self.name} names no host')
        self.rate = 0.0
        """Frames per second that the camera announces; 0 if unknown."""
        self.problem = ''
        """Why there is no connection at the moment."""
        self.connections = 0
        """Number of connections so far that gave a frame."""
        self._newest: Any = None
        self._converter: Any = None
        self._closed = threading.Event()
        self._news = threading.Condition()
        self._refused: str | None = None
        self._thread = threading.Thread(target=self._receive, name='network camera', daemon=True)
        self._thread.start()
        with self._news:
            self._news.wait_for(lambda: self._newest is not None or self._refused is not None, 3 * PATIENCE)
            why = self._refused if self._refused is not None else '' if self._newest is not None else 'no frame comes'
        if why:
            self.close()
            raise NetworkCameraError(f'{self.name} cannot be used as a camera: {why}')

    def newest(self, timeout: float) -> np.ndarray | None:
        """The newest frame, uint8 (H, W, 3) BGR, never the same twice; None if none comes in `timeout` seconds."""
        with self._news:
            if not self._news.wait_for(lambda: self._newest is not None, timeout):
                return None
            (frame, convert), self._newest = self._newest, None
        return convert(frame)

    def drop(self, timeout: float) -> None:
        """Like `newest`, without converting it."""
        with self._news:
            if self._news.wait_for(lambda: self._newest is not None, timeout):
                self._newest = None

    def close(self) -> None:
        """Close the connection; its thread ends within `PATIENCE`."""
        self._closed.set()

    def _receive(self) -> None:
        pause = SHORTEST_PAUSE
        while not self._closed.is_set():
            before = self.connections
            try:
                why = self._connection()
            except self._av.FFmpegError as error:
                why = reason(error)
            except NetworkCameraError as error:
                why = str(error)
            except Exception as error:  # whatever a camera sends must not end the thread
                why = type(error).__name__
            with self._news:
                self.problem = f'{self.name}: {why}; connecting again'
                if not self.connections:
                    self._refused = why
                    self._closed.set()
                self._news.notify_all()
            pause = SHORTEST_PAUSE if self.connections > before else min(2 * pause, LONGEST_PAUSE)
            self._closed.wait(pause)

    def _connection(self) -> str:
        options = {'protocol_whitelist': _PROTOCOLS, 'format_whitelist': _CONTAINERS, 'max_pixels': str(MAX_PIXELS),
                   'fflags': 'nobuffer', 'analyzeduration': '2000000', 'timeout': str(round(PATIENCE * 1e6))}
        if self.name.startswith('rtsp'):
            options['rtsp_transport'] = 'tcp'  # no frame is torn by a lost packet
        with self._av.open(self._address, options=options, timeout=PATIENCE, metadata_errors='replace') as container:
            stream = container.streams.best('video')
            if stream is None or stream.codec_context is None:
                raise NetworkCameraError('there is no video that can be decoded')
            if container.duration and not self.name.startswith('rtsp'):
                raise NetworkCameraError('it is a video file: download it, and give the file')
            if stream.guessed_rate and 0 < stream.guessed_rate <= 1000:
                self.rate = float(stream.guessed_rate)
            stream.codec_context.thread_type = 'SLICE'
            convert = FrameConverter(stream.sample_aspect_ratio)
            first = True
            last = time.monotonic()
            for packet in container.demux(stream):
                if self._closed.is_set():
                    return 'closed'
                try:
                    frames = [frame for frame in packet.decode() if not frame.is_corrupt]
                except self._av.FFmpegError:  # up to the next key frame
                    frames = []
                if frames:
                    last = time.monotonic()
                    with self._news:
                        self._newest = frames[-1], convert
                        self.connections += first
                        first = False
                        self.problem = ''
                        self._news.notify_all()
                elif time.monotonic() - last > PATIENCE:
                    return 'no frame can be decoded'
        return 'the connection was closed'
