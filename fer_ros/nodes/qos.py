"""Quality of service of all nodes."""

from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

DEPTH = 10


def latest_image() -> QoSProfile:
    """For image subscriptions: best effort matches every publisher, and a longer queue would add latency."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def image(reliable: bool) -> QoSProfile:
    """For image publishers."""
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=reliability)


def result() -> QoSProfile:
    """For small results, none of which should be lost."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE)


def overridable() -> QoSOverridingOptions:
    """Allow parameters ``qos_overrides.<topic>.<publisher|subscription>.…`` for history, depth and reliability."""
    return QoSOverridingOptions.with_default_policies()
