"""The node `valence_plot`: draws the valence of the last seconds from ``~/faces`` of the node `fer`.

It publishes the plot on ``~/plot`` while there are subscribers, shows it in a window if there is a display, and writes
it with its data on ``~/save`` and at exit.
"""

import dataclasses
import os
import subprocess
import sys
import threading
import time
import traceback
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
from rclpy._rclpy_pybind11 import InvalidHandle, RCLError
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger

from fer_ros.atomic_files import completed, write_picture
from fer_ros.drawing.valence_plot import ValencePlot
from fer_ros.nodes import qos
from fer_ros.nodes.image_conversion import to_message
from fer_ros.nodes.node_parameters import declare, watch
from fer_ros.nodes.program import Stop, program, run
from fer_ros.parameters import VALENCE_PLOT
from fer_ros.results.faces import decode
from fer_ros.results.faces_csv import FacesCsv
from fer_ros.results.history import FacesHistory

QUEUE = 300
"""Queue length for the time while a file is being written: 10 s at 30 frames/s, under 1 MB."""
MAX_SAMPLES = 1_000_000
"""Maximum number of samples kept: an hour of nine faces at 30 frames/s, under 100 MB."""
LOG_PERIOD = 5.0
"""Minimum seconds between two log messages about the same problem."""


class ValencePlotNode(Node):
    """Receives faces and draws the plot.

    Messages are received in the thread of the executor, and the plot is drawn in another, so that a slow window or
    subscriber does not delay reception.

    Raises:
        Stop: a parameter is not valid, or a window is required and there is no display.
    """

    def __init__(self, **kwargs):
        super().__init__('valence_plot', **kwargs)
        self.parameters = declare(self, VALENCE_PLOT)
        self._window = _window_wanted(self)
        self._shown = False
        self._plot = self._new_plot()
        self._history = FacesHistory(self.parameters.seconds, MAX_SAMPLES)
        self._frame_id = ''
        self._clock_at_last = 0  # node clock in ns when the newest frame arrived
        self._ended = threading.Event()
        watch(self, VALENCE_PLOT, self.parameters, self._parameters_changed)
        self._publisher = self.create_publisher(Image, '~/plot', qos.image(reliable=True),
                                                qos_overriding_options=qos.overridable())
        self._subscription = self.create_subscription(
            String, 'fer/faces', self._on_faces, QoSProfile(
                history=HistoryPolicy.KEEP_LAST, depth=QUEUE, reliability=ReliabilityPolicy.RELIABLE),
            qos_overriding_options=qos.overridable())
        self._service = self.create_service(Trigger, '~/save', self._on_save)
        self._drawer = threading.Thread(target=self._draw_until_end, name='drawer', daemon=True)
        self._drawer.start()
        self.get_logger().info(f'drawing {self._subscription.topic_name} on {self._publisher.topic_name}'
                               + (' and in a window' if self._window else ''))

    def _new_plot(self) -> ValencePlot:
        return ValencePlot(self.parameters.width, self.parameters.height, min_life=self.parameters.min_life)

    def _parameters_changed(self) -> None:
        self._history.seconds = self.parameters.seconds
        self._plot.min_life = self.parameters.min_life

    def _on_faces(self, message: String) -> None:
        clock = self.get_clock().now().nanoseconds
        try:
            frame = decode(message.data)
            if frame.stamp_ns == 0:  # the camera driver does not stamp
                frame = dataclasses.replace(frame, stamp_ns=clock)
            outcome = self._history.add(frame)
        except ValueError as error:
            self.get_logger().warning(f'message on {self._subscription.topic_name} skipped: {error}',
                                      throttle_duration_sec=LOG_PERIOD)
            return
        if frame.left_out:
            self.get_logger().warning(f'{len(frame.left_out)} values of a message on {self._subscription.topic_name} '
                                      f'left out: {frame.left_out[0]}', throttle_duration_sec=LOG_PERIOD)
        if outcome == 'late':
            self.get_logger().warning(f'frame with stamp {frame.stamp:.3f} skipped: not newer than the previous one',
                                      throttle_duration_sec=LOG_PERIOD)
            return
        if outcome == 'restarted':
            self.get_logger().warning(f'stamps jumped back to {frame.stamp:.3f}: starting a new plot')
        self._frame_id = frame.frame_id
        self._clock_at_last = clock

    def _now(self) -> int:
        """The present on the time line of the stamps, in ns: the newest stamp plus the time since its receipt."""
        last, clock = self._history.last, self.get_clock().now().nanoseconds
        return clock if last is None else last.stamp_ns + max(0, clock - self._clock_at_last)

    def _draw_until_end(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            # A draw that took too long does not shorten the next period.
            due = max(due + 1 / self.parameters.rate, time.monotonic())
            try:
                self._draw_once()
            except (RCLError, InvalidHandle) as error:
                if self.context.ok() and not self._ended.is_set():
                    self.get_logger().error(f'cannot publish the plot: {error}', throttle_duration_sec=LOG_PERIOD)
            except Exception:  # the next plot may succeed; reception continues in any case
                self.get_logger().error(f'cannot draw the plot: {traceback.format_exc()}',
                                        throttle_duration_sec=LOG_PERIOD)
        if self._window:
            cv2.destroyAllWindows()

    def _draw_once(self) -> None:
        subscribed = self._publisher.get_subscription_count() > 0
        if not subscribed and not self._window:
            return
        last = self._history.last  # before it is drawn: the stamp tells of no frame that is not in the plot
        picture = self._plot.rolling(self._history, self._now(), self.parameters.seconds)
        if subscribed:
            stamp = last.stamp_ns if last is not None else 0
            header = Header(frame_id=self._frame_id)
            header.stamp.sec, header.stamp.nanosec = divmod(stamp, 1_000_000_000)
            self._publisher.publish(to_message(picture, header))
        if self._window:
            self._show(picture)

    def _show(self, picture: np.ndarray) -> None:
        title = self.get_fully_qualified_name()
        if not self._shown:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            cv2.resizeWindow(title, picture.shape[1], picture.shape[0])
            self._shown = True
        elif cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1:
            self._window = False
            cv2.destroyAllWindows()
            self.get_logger().info('the window was closed; the node keeps running')
            return
        cv2.imshow(title, picture)
        cv2.waitKey(1)

    def _on_save(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message = self._save()
            response.success = True
        except OSError as error:
            response.message = f'nothing saved: {error}'
            self.get_logger().error(response.message)
        return response

    def _save(self) -> str:
        """Write plot and data of the time up to the newest frame; returns a message with the names of the files.

        Raises:
            OSError: they cannot be written, or there is nothing to write; no file is left behind.
        """
        last = self._history.last
        if last is None:
            raise OSError(f'no frame has been received on {self._subscription.topic_name} yet')
        picture = self._new_plot().rolling(self._history, last.stamp_ns, self.parameters.seconds)
        folder = Path(self.parameters.output_dir).expanduser().absolute()
        folder.mkdir(parents=True, exist_ok=True)
        name = _free_name(folder)
        paths = folder / f'{name}.csv', folder / f'{name}.png'
        with completed(paths[0]) as table, completed(paths[1]) as image:
            with table.open('w', encoding='utf-8', newline='') as file:
                writer = FacesCsv(file)
                for number, stamp_ns, face in self._history.entries():
                    writer.write(stamp_ns, number, face)
            write_picture(image, picture)
        text = f'saved {paths[0]} and {paths[1].name}'
        self.get_logger().info(text)
        return text

    def close(self) -> None:
        """Stop drawing, and save if `output_dir` is set and there is data."""
        self._ended.set()
        self._drawer.join()
        if self.parameters.output_dir and self._history.last is not None:
            try:
                self._save()
            except OSError as error:
                self.get_logger().error(f'nothing saved: {error}')


def _free_name(folder: Path) -> str:
    """A name with the present time that does not exist in `folder`."""
    base = f'valence_{datetime.now():%Y-%m-%d_%H-%M-%S}'
    names = (base if n == 1 else f'{base}_{n}' for n in range(1, sys.maxsize))
    return next(n for n in names if not (folder / f'{n}.csv').exists() and not (folder / f'{n}.png').exists())


def _window_wanted(node: ValencePlotNode) -> bool:
    """Whether to show a window. Raises Stop if a window is required and there is no display."""
    wanted = node.parameters.window
    if wanted == 'false':
        return False
    if not (os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')):
        problem = 'DISPLAY and WAYLAND_DISPLAY are not set'
    else:
        # In a separate process: if the display does not respond, Qt ends the process.
        test = subprocess.run([sys.executable, '-c', 'import cv2; cv2.namedWindow("test")'], capture_output=True,
                              timeout=60, check=False)
        if test.returncode == 0:
            return True
        problem = f'OpenCV cannot open a window on display {os.environ.get("DISPLAY", "")!r}'
    if wanted == 'true':
        raise Stop(f'window is true but there is no display: {problem}; set window to auto or false, and look at '
                   '~/plot with rqt_image_view')
    node.get_logger().info(f'no window: {problem}')
    return False


@program
def main(args: list[str] | None = None) -> int:
    """Entry point."""
    return run('valence_plot', ValencePlotNode, args)


if __name__ == '__main__':
    sys.exit(main())
