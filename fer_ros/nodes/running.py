"""Start, spin and end a node as a program: quiet on signals, one line and an exit code for a user's mistake."""

import signal
from collections.abc import Callable

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.executors import ExternalShutdownException
from rclpy.logging import get_logger
from rclpy.node import Node


class Stop(Exception):
    """Raised in a node to end its program: without text in success, with text (one line) as an error."""


def run(name: str, create: Callable[[], Node], args: list[str] | None = None) -> int:
    """Spin the node that `create` makes until it raises `Stop` or a signal comes.

    A node's `close()`, where it has one, is called before it is destroyed, also after an error.

    Returns:
        The exit code: 0 after SIGINT, SIGTERM or a `Stop` without text, else 1.
    """
    node = None
    try:
        rclpy.init(args=args)
        node = create()
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except Stop as stop:
        return _fail(name, stop) if str(stop) else 0
    except RCLError as error:
        # SIGTERM invalidates the context under whatever is being done.
        return 0 if node is not None and not rclpy.ok() else _fail(name, error)
    finally:
        rclpy.uninstall_signal_handlers()
        for number in (signal.SIGINT, signal.SIGTERM):  # ros2 launch and the terminal both send one
            signal.signal(number, signal.SIG_IGN)
        if node is not None:
            getattr(node, 'close', lambda: None)()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _fail(name: str, error: Exception) -> int:
    get_logger(name).fatal(str(error).splitlines()[0])
    return 1
