"""The node `video_source`: publishes a camera, a video file, an image folder or the built-in clip.

It publishes on ``image_raw`` in real time: late frames are skipped, so that a second of video lasts a second.
"""

import sys
import time

from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from fer_ros.media.frame_sources import SourceError, open_source
from fer_ros.media.rotation import turned
from fer_ros.nodes import qos
from fer_ros.nodes.image_conversion import to_message
from fer_ros.nodes.node_parameters import declare
from fer_ros.nodes.program import Stop, program, run
from fer_ros.parameters import VIDEO_SOURCE


class VideoSourceNode(Node):
    """Publishes the frames of a source.

    Raises:
        Stop: the source cannot be opened; later, from a timer: it has ended or, with a message, it has failed.
    """

    def __init__(self, **kwargs):
        super().__init__('video_source', **kwargs)
        self._settings = declare(self, VIDEO_SOURCE)
        try:
            self._source = open_source(self._settings.video, rate=self._settings.rate,
                                       width=self._settings.width, height=self._settings.height)
        except SourceError as error:
            raise Stop(str(error)) from error
        self._warned = ''
        self._start = time.monotonic()
        self._sent = 0
        self._publisher = self.create_publisher(Image, 'image_raw', qos.image(self._settings.reliable),
                                                qos_overriding_options=qos.overridable())
        # A camera determines its own rate: reading waits for its next frame.
        self.create_timer(1e-3 if self._source.live else 1 / self._source.rate, self._publish_next)
        self.get_logger().info(f'{self._source.name} at {self._source.rate:g} frames/s on {self._publisher.topic_name}')

    def _publish_next(self) -> None:
        try:
            if not self._source.live:
                self._skip_what_is_late()
            frame = self._source.read()
            self._tell_warning()
            if frame is None and self._source.live:
                return
            if frame is None:
                self._end()
                frame = self._source.read()
                if frame is None:
                    raise Stop(f'{self._source.name} has no more frames')
        except SourceError as error:
            raise Stop(str(error)) from error
        self._sent += 1
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._settings.frame_id)
        self._publisher.publish(to_message(turned(frame, self._settings.rotate), header))

    def _skip_what_is_late(self) -> None:
        due = int((time.monotonic() - self._start) * self._source.rate)
        for _ in range(min(due - self._sent - 1, int(self._source.rate) + 1)):
            self._source.skip()
        self._sent = max(self._sent, due - 1)

    def _tell_warning(self) -> None:
        if self._source.warning != self._warned:
            self._warned = self._source.warning
            if self._warned:
                self.get_logger().warning(self._warned)
            else:
                self.get_logger().info(f'{self._source.name} is connected again')

    def _end(self) -> None:
        """Rewind at the end of the source, or raise Stop."""
        if not self._settings.loop:
            self.get_logger().info(f'{self._source.name} has ended')
            raise Stop
        self._source.rewind()

    def close(self) -> None:
        """Release the source."""
        self._source.close()


@program
def main(args: list[str] | None = None) -> int:
    """Entry point."""
    return run('video_source', VideoSourceNode, args)


if __name__ == '__main__':
    sys.exit(main())
