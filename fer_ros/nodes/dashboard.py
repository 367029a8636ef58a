"""The node `dashboard`: a web page that shows the faces live and analyses video files.

ROS is served in its own thread, the page in the main thread.
"""

import dataclasses
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy._rclpy_pybind11 import RCLError
from rclpy.client import Client
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from fer_ros.nodes import qos
from fer_ros.nodes.image_conversion import to_bgr
from fer_ros.nodes.node_parameters import declare, filled
from fer_ros.nodes.program import SIGNALS, WAKE_UP, Ending, Stop, fail, program
from fer_ros.nodes.shared_memory import remove_orphans
from fer_ros.parameters import DASHBOARD
from fer_ros.results import wire
from fer_ros.results.faces import decode
from fer_ros.results.health import decode_health
from fer_ros.web.live.recorder import LiveRecorder, RecordingLimits
from fer_ros.web.live.state import LiveState
from fer_ros.web.live.webcam import Webcam
from fer_ros.web.server.settings import TOKEN_VARIABLE, SettingsError, WebSettings

if TYPE_CHECKING:
    from fer_ros.web.server.app import Server

LOOK_PERIOD = 0.2
"""Seconds between two checks for viewers and publishers."""
LOG_PERIOD = 5.0
"""Minimum seconds between two log messages about the same problem."""


class DashboardNode(Node):
    """The `fer_ros.web.live.page.LiveSource` of the page.

    Raises:
        Stop, SettingsError: a parameter is not valid.
    """

    def __init__(self, **kwargs):
        super().__init__('dashboard', **kwargs)
        values = declare(self, DASHBOARD)
        # Removed from the environment, since one of the processes started from here decodes untrusted files.
        from_environment = os.environ.pop(TOKEN_VARIABLE, '')
        values.access_token = values.access_token or from_environment
        self.settings = filled(WebSettings, values)
        faces = self.create_subscription(String, 'fer/faces', self._on_faces, qos.result(),
                                         qos_overriding_options=qos.overridable())
        self._faces_topic = faces.topic_name
        recorder = LiveRecorder(self.settings.recordings, RecordingLimits(
            self.settings.record_megabytes * 1_000_000, self.settings.record_minutes * 60, self.settings.image_rate,
            self.settings.image_width))
        self.state = LiveState(self.settings.seconds, self._faces_topic, recorder,
                               hide_faces=self.settings.hide_faces)
        self.webcam = Webcam(self._webcam_command)
        # Name of the diagnostics status of the node that publishes the faces.
        self._status_name = f'{self._faces_topic.removesuffix("/faces").strip("/")}: faces'
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.result())
        self._pictures = None
        self._calibrate: Client = self.create_client(Trigger, 'fer/calibrate_neutral')
        self._reset: Client = self.create_client(Trigger, 'fer/reset_calibration')
        self.create_timer(LOOK_PERIOD, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _on_faces(self, message: String) -> None:
        clock = self.get_clock().now().nanoseconds
        try:
            frame = decode(message.data)
        except ValueError as error:
            self.state.left_out(1)
            self.get_logger().warning(f'message on {self._faces_topic} skipped: {error}',
                                      throttle_duration_sec=LOG_PERIOD)
            return
        self._report(frame.left_out, self._faces_topic)
        latency = (clock - frame.stamp_ns) * 1e-9 if frame.stamp_ns else None
        if latency is None:  # the camera driver does not stamp
            frame = dataclasses.replace(frame, stamp_ns=clock)
        self.state.frame(frame, latency)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._status_name:
                health = decode_health(status.level[0], status.message, ((v.key, v.value) for v in status.values))
                self._report(health.left_out, '/diagnostics')
                self.state.health(health)

    def _report(self, left_out: Sequence[str], topic: str) -> None:
        """Count the values of a message that were left out, and log why."""
        if left_out:
            self.state.left_out(len(left_out))
            self.get_logger().warning(f'{len(left_out)} values of a message on {topic} left out: {left_out[0]}',
                                      throttle_duration_sec=LOG_PERIOD)

    def _on_picture(self, message: Image) -> None:
        stamp = message.header.stamp
        self.state.picture(stamp.sec * 1_000_000_000 + stamp.nanosec, lambda: to_bgr(message))

    def _look(self) -> None:
        """Subscribe to images while they are wanted: `fer` draws them only then."""
        self.state.publishers(self.count_publishers(self._faces_topic))
        if self.state.pictures_wanted and self._pictures is None:
            self._pictures = self.create_subscription(Image, 'fer/annotated', self._on_picture, qos.latest_image(),
                                                      qos_overriding_options=qos.overridable())
        elif not self.state.pictures_wanted and self._pictures is not None:
            self.destroy_subscription(self._pictures)
            self._pictures = None
            self.state.forget_picture()

    def calibrate(self) -> Future[tuple[bool, str]]:
        """Calibrate the primary face; implements `LiveSource`."""
        return _call(self._calibrate)

    def reset_calibration(self) -> Future[tuple[bool, str]]:
        """Discard all baselines; implements `LiveSource`."""
        return _call(self._reset)

    def _webcam_command(self, device: str) -> list[str]:
        topic = self.state.image_topic.removesuffix('/compressed') or self.resolve_topic_name('image_raw')
        return [sys.executable, '-m', 'fer_ros.nodes.video_source', '--ros-args', '-p', f'video:="{device}"',
                '-r', f'image_raw:={topic}']


def _call(client: Client) -> Future[tuple[bool, str]]:
    """The response of a service, for another thread. LookupError is set if the service is not available."""
    answer: Future[tuple[bool, str]] = Future()
    if not client.service_is_ready():
        answer.set_exception(LookupError(client.srv_name))
        return answer

    def done(future) -> None:
        if not answer.cancelled():  # nobody waits any more
            answer.set_result((future.result().success, wire.shown(future.result().message)))
    client.call_async(Trigger.Request()).add_done_callback(done)
    return answer


@program
def main(args: list[str] | None = None) -> int:
    """Entry point; returns exit code 0 after SIGINT or SIGTERM, otherwise 1."""
    node = None
    remove_orphans()
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        ending = Ending()
        with ending:
            node = DashboardNode()
            server = _create_server(node)
        return _serve(node, server, ending)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except (Stop, SettingsError, RCLError) as error:
        return fail('dashboard', error)
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()


def _create_server(node: DashboardNode) -> 'Server':
    try:
        from fer_ros.web.server.app import Server
    except ModuleNotFoundError as error:
        raise Stop(f'{error.name} is not installed: pip install nicegui') from error
    try:
        return Server(node.settings, node)
    except OSError as error:
        raise Stop(f'cannot create a temporary folder: {error}; set TMPDIR to a folder with free space') from error


def _serve(node: DashboardNode, server: 'Server', ending: Ending) -> int:
    ended, failed = threading.Event(), threading.Event()
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        try:
            while not ended.is_set() and rclpy.ok():
                executor.spin_once(timeout_sec=WAKE_UP)
        except ExternalShutdownException:
            pass
        except Exception:
            failed.set()
            node.get_logger().fatal(traceback.format_exc())
        finally:
            server.stop()

    thread = threading.Thread(target=spin, name='ros')
    thread.start()
    try:
        for number in SIGNALS:  # before the server handles them, and after, when it raises them again
            signal.signal(number, lambda *_: server.stop())
        if ending.asked:
            server.stop()
        node.get_logger().info(f'the page is at {server.url}')
        server.run()
    finally:
        ended.set()
        thread.join()
        executor.shutdown()
    return 1 if failed.is_set() else 0


if __name__ == '__main__':
    sys.exit(main())
