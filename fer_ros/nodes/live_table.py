"""The node `live_table`: a live table of the faces in the terminal, and optionally a recording of the annotated images.

It subscribes to ``~/faces`` of the node `fer` and, for the recording, to ``~/annotated``.
"""

import sys
import time
from collections import deque
from functools import partial
from pathlib import Path

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import String

from fer_ros.media.file_names import without_errno
from fer_ros.media.video_writer import VideoWriter
from fer_ros.nodes import qos
from fer_ros.nodes.image_conversion import ConversionError, to_bgr
from fer_ros.nodes.node_parameters import declare
from fer_ros.nodes.program import Stop, program, run
from fer_ros.parameters import LIVE_TABLE
from fer_ros.results.faces import FaceEmotion, FacesFrame, decode

PERIOD = 2.0
"""Seconds over which rate and latency are averaged."""
BAR = 10
"""Length of a valence bar from 0 to 1, in characters."""
LOG_PERIOD = 5.0
"""Minimum seconds between two log messages about the same problem."""


class Table:
    """Text of the newest frame, with rate and latency of the last `PERIOD` seconds."""

    def __init__(self):
        self._frame: FacesFrame | None = None
        self._arrivals: deque[tuple[float, float | None]] = deque()

    def add(self, frame: FacesFrame, now: float, latency: float | None) -> None:
        """Add a frame.

        Args:
            frame: the faces of a frame.
            now: seconds, monotonic.
            latency: seconds from stamp to receipt; None for a frame without a stamp.
        """
        self._frame = frame
        self._arrivals.append((now, latency))

    def lines(self, now: float) -> list[str]:
        """The lines of the table at the time `now`."""
        while self._arrivals and self._arrivals[0][0] < now - PERIOD:
            self._arrivals.popleft()
        if self._frame is None:
            return ['waiting for the first frame']
        lines = [f'  {"face":<8}{"emotion":<11}{"confidence":>10}{"valence":>9}  {"−1":<{BAR}}0{"+1":>{BAR}}']
        faces = self._frame.faces if self._arrivals else ()
        lines += [_row(face, face.face_id == self._frame.primary) for face in faces] or ['  no face']
        rate = len(self._arrivals) / PERIOD
        latencies = sorted(latency for _, latency in self._arrivals if latency is not None)
        text = f'  {rate:.1f} frames/s'
        if latencies:
            text += f', latency {1000 * latencies[len(latencies) // 2]:.0f} ms (max {1000 * latencies[-1]:.0f} ms)'
        return [*lines, text]


def _row(face: FaceEmotion, primary: bool) -> str:
    length = round(abs(face.valence) * BAR)
    left, right = ('█' * length, '') if face.valence < 0 else ('', '█' * length)
    return (f'{"*" if primary else " "} {face.face_id:<8}{face.emotion:<11}{face.confidence:>10.2f}'
            f'{face.valence:>+9.2f}  {left:>{BAR}}│{right:<{BAR}}')


class LiveTableNode(Node):
    """Receives faces and prints the table.

    Raises:
        Stop: a parameter is not valid; later, from a timer: `seconds` have elapsed.
    """

    def __init__(self, **kwargs):
        super().__init__('live_table', **kwargs)
        self._settings = declare(self, LIVE_TABLE)
        self._table = Table()
        self._first: float | None = None
        self._drawn = 0
        self._in_place = sys.stdout.isatty()
        self._recorder: VideoWriter | None = None
        self.create_subscription(String, 'fer/faces', self._on_faces, qos.result(),
                                 qos_overriding_options=qos.overridable())
        if self._settings.video:
            self._recorder = VideoWriter(Path(self._settings.video).expanduser(), self._settings.video_rate)
            self.create_subscription(Image, 'fer/annotated', partial(self._on_annotated, self._recorder), QoSProfile(
                history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.RELIABLE),
                qos_overriding_options=qos.overridable())
        # Print less often if lines cannot be overwritten.
        self.create_timer(1 / self._settings.rate if self._in_place else max(2.0, 1 / self._settings.rate), self._draw)

    def _on_faces(self, message: String) -> None:
        try:
            frame = decode(message.data)
        except ValueError as error:
            self.get_logger().warning(f'message skipped: {error}', throttle_duration_sec=LOG_PERIOD)
            return
        if frame.left_out:
            self.get_logger().warning(f'{len(frame.left_out)} values of a message left out: {frame.left_out[0]}',
                                      throttle_duration_sec=LOG_PERIOD)
        now = time.monotonic()
        if self._first is None:
            self._first = now
        latency = self.get_clock().now().nanoseconds * 1e-9 - frame.stamp if frame.stamp_ns else None
        self._table.add(frame, now, latency)

    def _on_annotated(self, recorder: VideoWriter, message: Image) -> None:
        stamp = message.header.stamp
        try:
            recorder.add(to_bgr(message), stamp.sec + stamp.nanosec * 1e-9)
        except ConversionError as error:
            self.get_logger().warning(f'frame not recorded: {error}', throttle_duration_sec=LOG_PERIOD)
        except OSError as error:
            raise Stop(without_errno(error)) from error

    def _draw(self) -> None:
        now = time.monotonic()
        lines = self._table.lines(now)
        if self._in_place:
            up = f'\x1b[{self._drawn}A' if self._drawn else ''
            sys.stdout.write(up + ''.join(f'{line}\x1b[K\n' for line in lines) + '\x1b[J')
            self._drawn = len(lines)
        else:
            sys.stdout.write('\n'.join(lines) + '\n')
        sys.stdout.flush()
        if self._settings.seconds and self._first is not None and now - self._first >= self._settings.seconds:
            raise Stop

    def close(self) -> None:
        """Complete the recording."""
        if self._recorder is not None:
            try:
                self._recorder.close()
            except OSError as error:
                self.get_logger().error(f'no recording: {without_errno(error)}')


@program
def main(args: list[str] | None = None) -> int:
    """Entry point."""
    return run('live_table', LiveTableNode, args)


if __name__ == '__main__':
    sys.exit(main())
