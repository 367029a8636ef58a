"""Quality of service, once for all nodes."""

from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

DEPTH = 10


def latest_image() -> QoSProfile:
    """Best effort matches every publisher; more than the last image would build up latency."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def image(reliable: bool) -> QoSProfile:
    """For publishing images."""
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=reliability)


def result() -> QoSProfile:
    """For small results, none of which should get lost."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE)


def overridable() -> QoSOverridingOptions:
    """History, depth and reliability may be set by parameters ``qos_overrides.<topic>.<publisher|subscription>.…``."""
    return QoSOverridingOptions.with_default_policies()
