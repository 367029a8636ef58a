"""The heartbeat by which a lifecycle manager sees that an active node lives: a bond, as Nav2's nodes have it."""

from typing import Any

from rclpy.lifecycle import LifecycleNode

PERIOD = 0.1
"""Seconds between two heartbeats."""
TIMEOUT = 4.0
"""Seconds without one after which the other side is taken for dead."""


class ManagerBond:
    """A bond on the topic ``bond`` with the node's name as its id, where bondpy is installed; else nothing.

    Nav2's manager holds the other end and brings its nodes down when one of them falls silent. Where nobody does, the
    bond is given up after bondpy's time to connect.
    """

    def __init__(self, node: LifecycleNode):
        self._node = node
        self._bond: Any = None

    def open(self) -> None:
        """Begin to send heartbeats."""
        try:
            from bondpy.bondpy import Bond
        except ImportError as error:
            self._node.get_logger().debug(f'no bond with a lifecycle manager: {error}')
            return
        self._bond = Bond('bond', self._node.get_name(), self._node)
        self._bond.set_heartbeat_period(PERIOD)
        self._bond.set_heartbeat_timeout(TIMEOUT)
        self._bond.start()

    def close(self) -> None:
        """Tell the other side that this one ends on purpose. May be called again."""
        if self._bond is not None:
            self._bond.shutdown()
            self._bond = None
