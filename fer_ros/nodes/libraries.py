"""The libraries that reading faces needs: they take seconds to load, so that is begun before they are asked for."""

import importlib
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec

MODULES = ('fer_ros.perception.pipeline',)
"""What a node imports when it is configured."""
REMEDY = ("install what requirements/robot.txt of fer_ros names into the workspace's virtual environment, and activate "
          'that before ROS programs are started')


def load_in_background() -> threading.Thread:
    """Begin to import what a configured node needs.

    A lifecycle manager waits only so long for an answer (Nav2's 5 s), and the first import took longer on a busy
    machine. Whoever imports meanwhile waits for what is under way. What fails here is told by those who need it.
    """
    thread = threading.Thread(target=_load, name='libraries', daemon=True)
    thread.start()
    return thread


def _load() -> None:
    for module in MODULES:
        try:
            importlib.import_module(module)
        except Exception:  # of every kind, from foreign libraries; the import is tried again where it is needed
            return
    from fer_ros.perception import detector_models, recognition
    needed = ['mediapipe.python.solutions.face_detection' if detector_models.has_solutions()
              else 'ai_edge_litert.interpreter', 'scipy.optimize']
    needed.append('fer_ros.perception.torch_runtime' if recognition.gpu_possible() or not find_spec('onnxruntime')
                  else 'onnxruntime')
    for module in needed:
        # Not all are needed: it depends on parameters, and on what is installed, what runs network and detector.
        with suppress(Exception):
            importlib.import_module(module)


def missing(error: ModuleNotFoundError) -> str:
    """One line that names what is not installed, for which Python, and what to do."""
    return f'{error.name} is not installed for {sys.executable}: {REMEDY}'
