"""The node `dashboard`: a page in the browser that shows the faces live, and reads video files.

ROS is served in a thread of its own; the page in the main thread.
"""

import dataclasses
import os
import signal
import sys
import threading
import traceback

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from fer_ros.nodes.parameters import declare
from fer_ros.nodes.running import SIGNALS, WAKE_UP, Stop, fail
from fer_ros.parameters import DASHBOARD
from fer_ros.web.settings import SettingsError, WebSettings

TOKEN_VARIABLE = 'FER_ROS_ACCESS_TOKEN'
"""Environment variable that is used where the parameter access_token is empty: parameters can be read over ROS."""


class DashboardNode(Node):
    """See the module.

    Raises:
        Stop: a parameter does not fit.
    """

    def __init__(self, **kwargs):
        super().__init__('dashboard', **kwargs)
        values = declare(self, DASHBOARD)
        values.access_token = values.access_token or os.environ.get(TOKEN_VARIABLE, '')
        self.settings = WebSettings(**{field.name: getattr(values, field.name)
                                       for field in dataclasses.fields(WebSettings)})


def main(args: list[str] | None = None) -> int:
    """Entry point: exit code 0 after SIGINT or SIGTERM, else 1."""
    node = None
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        for number in SIGNALS:
            signal.signal(number, signal.default_int_handler)
        node = DashboardNode()
        return _serve(node)
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


def _serve(node: DashboardNode) -> int:
    try:
        from fer_ros.web.app import Server
    except ModuleNotFoundError as error:
        raise Stop(f'{error.name} is not installed: pip install nicegui') from error
    server = Server(node.settings, node)
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
        node.get_logger().info(f'the page is at {server.url}')
        for number in SIGNALS:  # the server handles them, and then raises them again
            signal.signal(number, signal.SIG_IGN)
        server.run()
    finally:
        ended.set()
        thread.join()
        executor.shutdown()
    return 1 if failed.is_set() else 0


if __name__ == '__main__':
    sys.exit(main())
