"""Runs a node as a program: ends quietly on signals, and with one line and an exit code on a user's mistake."""

import functools
import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from fer_ros.nodes.memory import tune_allocator
from fer_ros.nodes.shared_memory import remove_orphans

SIGNALS = (signal.SIGINT, signal.SIGTERM)
WAKE_UP = 0.2
"""Maximum seconds until a signal is handled, since waiting for messages does not return to Python."""
NAME_PERIOD = 1.0
"""Seconds between two checks of the names of all nodes."""


class Ending:
    """Notes the signals that end a program.

    Within its `with` block, in which a node is created, they raise KeyboardInterrupt too, so that the end does not wait
    for that. Python may lose this exception in a destructor, and rclpy's native code may turn it into another
    RuntimeError: what counts is `asked`, and the block ends with KeyboardInterrupt all the same.
    """

    def __init__(self) -> None:
        self.asked = False
        self._raises = False
        for number in SIGNALS:
            signal.signal(number, self._note)

    def __enter__(self) -> None:
        self._raises = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._raises = False
        if self.asked and (error is None or isinstance(error, RuntimeError)):
            raise KeyboardInterrupt from error

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._raises:
            raise KeyboardInterrupt


class Stop(Exception):
    """Raised in a node to end its program: successfully without a message, as an error with one (a single line)."""


def program(main: Callable[[list[str] | None], int]) -> Callable[..., int]:
    """Let `main` end the process with its exit code when it is called without arguments, as a program is.

    At once: taking down torch and the other libraries took 1.7 s, in which `ros2 launch` loses patience, and would
    abort the process where they are still being loaded. Nothing is left to be done by then.
    """
    @functools.wraps(main)
    def entry(args: list[str] | None = None) -> int:
        code = main(args)
        if args is None:
            gc.collect()  # what is left of the node in cycles of references keeps DDS's shared memory
            for stream in (sys.stdout, sys.stderr):
                with suppress(AttributeError, OSError, ValueError):  # closed, or nobody reads it any more
                    stream.flush()
            os._exit(code)
        return code
    return entry


def run(name: str, create: Callable[[], Node], args: list[str] | None = None) -> int:
    """Spin the node created by `create` until it raises `Stop` or a signal arrives.

    If the node has a method `close()`, it is called before the node is destroyed, even after an error.

    Returns:
        The exit code: 0 after SIGINT, SIGTERM or a `Stop` without text, else 1.
    """
    node = executor = None
    tune_allocator()
    remove_orphans()
    try:
        # The handlers of rclpy shut down all communication before the node could announce its end.
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        ending = Ending()
        with ending:
            node = create()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        names = _NameWatch(node)
        while rclpy.ok() and not ending.asked:
            executor.spin_once(timeout_sec=WAKE_UP)
            names.look()
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except Stop as stop:
        return fail(name, stop) if str(stop) else 0
    except RCLError as error:
        # A shutdown from elsewhere invalidates the context at any point.
        return 0 if node is not None and not rclpy.ok() else fail(name, error)
    finally:
        for number in SIGNALS:  # ros2 launch and the terminal both send a signal
            signal.signal(number, signal.SIG_IGN)
        if executor is not None:
            executor.shutdown()
        if node is not None:
            getattr(node, 'close', lambda: None)()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def namesakes(node: Node) -> str:
    """The remedy if other nodes have the same name as `node`; empty if there are none."""
    name = node.get_fully_qualified_name()
    count = sum(f'{namespace.rstrip("/")}/{base}' == name for base, namespace in node.get_node_names_and_namespaces())
    if count < 2:
        return ''
    return (f'{count} nodes are named {name}, so their messages are mixed: rename one with --ros-args -r __node:=name, '
            'or give it a namespace with -r __ns:=/name (a killed node counts for another 20 s)')


class _NameWatch:
    """Logs once when another node of the same name appears."""

    def __init__(self, node: Node):
        self._node = node
        self._due = 0.0
        self._told = False

    def look(self) -> None:
        """Check the names; to be called often."""
        if (now := time.monotonic()) < self._due:
            return
        self._due = now + NAME_PERIOD
        text = namesakes(self._node)
        if text and not self._told:
            self._node.get_logger().warning(text)
        self._told = bool(text)


def fail(name: str, error: Exception) -> int:
    """Log the first line of `error` as the reason why the program `name` exits; returns the exit code."""
    text = str(error).splitlines()[0]
    if 'log directory' in text:  # of ROS itself, before there is a node
        text += ': set HOME, or ROS_LOG_DIR, to a folder that can be written'
    get_logger(name).fatal(text)
    return 1
