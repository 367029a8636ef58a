"""The fault tests use the harness of the node tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / 'nodes'))
