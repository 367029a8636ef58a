"""The node `dashboard`, which takes nobody for gone who is late by some seconds.

On a shared machine a process may stand still for seconds. What the page says then is right, and has tests of its own.
"""

import sys

from fer_ros.nodes.dashboard import main
from fer_ros.web.live import page, state
from fer_ros.web.visitor.visitors import VisitLimits

state.NO_IMAGE = state.FRESH = page.ANSWER = 60.0
VisitLimits.of = classmethod(lambda cls, settings: cls(hide_faces=settings.hide_faces, away_s=30.0))

if __name__ == '__main__':
    sys.exit(main())
