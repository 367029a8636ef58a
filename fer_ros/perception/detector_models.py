"""BlazeFace's model files: which they are, and where they lie on this machine."""

import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fer_ros.package_files import PACKAGE

WHEEL = 'mediapipe==0.10.21'
"""The last release whose wheel carries the models."""
FOLDER = 'detectors'
"""Of the models, below share/fer_ros or the user's data folder of the package."""
INSTALL = 'ros2 run fer_ros install_models (without ROS: python -m fer_ros.tools.install_models)'


@dataclass(frozen=True)
class ModelFile:
    """One .tflite file of MediaPipe's wheel."""

    name: str
    sha256: str


MODELS = {
    'short': ModelFile('face_detection_short_range.tflite',
                       'bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8'),
    'full': ModelFile('face_detection_full_range_sparse.tflite',
                      '2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1'),
}
"""By detector."""
IN_WHEEL = 'mediapipe/modules/face_detection'
"""Folder of the models in the wheel, and where it is installed."""


def find_model(kind: str) -> Path | None:
    """The file of the detector `kind`, 'short' or 'full', or None where it is not installed."""
    return next((path for folder in folders() if (path := folder / MODELS[kind].name).is_file()), None)


def folders() -> list[Path]:
    """Where the models are looked for: the user's own, those of ament prefixes and of this Python, MediaPipe's."""
    own = user_folder()
    prefixes = [Path(p) for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p] + [Path(sys.prefix)]
    package = mediapipe_folder()
    return list(dict.fromkeys(([own] if own else []) + [prefix / 'share' / PACKAGE / FOLDER for prefix in prefixes]
                              + ([package.parent / IN_WHEEL] if package else [])))


def user_folder() -> Path | None:
    """``$XDG_DATA_HOME/fer_ros/detectors``, by default below ~/.local/share; None where the user has no home."""
    data = os.environ.get('XDG_DATA_HOME', '')
    try:
        # As the XDG base directory specification has it, relative paths are not heeded.
        base = Path(data) if os.path.isabs(data) else Path.home() / '.local' / 'share'
    except RuntimeError:
        return None
    return base / PACKAGE / FOLDER


def has_solutions() -> bool:
    """Whether MediaPipe is installed with its `solutions`, as it was up to 0.10.21. Does not import it."""
    package = mediapipe_folder()
    return package is not None and (package / 'python' / 'solutions' / 'face_detection.py').is_file()


def mediapipe_folder() -> Path | None:
    """Where MediaPipe is installed, without importing it, or None."""
    try:
        spec = find_spec('mediapipe')
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).parent if spec is not None and spec.origin else None
