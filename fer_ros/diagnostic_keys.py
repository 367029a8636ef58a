"""Names of values in the diagnostics of the node `fer`: what it writes there and what the dashboard looks up."""

RATE_PERIOD = 3.0
"""Seconds over which frames are counted; in one second a slow camera may send nothing at all."""

STATE = 'state'
DEVICE = 'device'
RUNTIME = 'runtime'
MODEL = 'model'
IMAGE_TOPIC = 'image topic'
PUBLISHERS = 'publishers'
CALIBRATED_FACES = 'calibrated faces'
IMAGE_PROBLEMS = 'image problems'


def recent(kind: str) -> str:
    """Frames of one kind (dropped, skipped or bad) within `RATE_PERIOD`."""
    return f'{kind} in the last {RATE_PERIOD:g} s'


def total(kind: str) -> str:
    """Frames of one kind (received, processed, dropped, skipped or bad) since the node was activated."""
    return f'{kind} since activation'
