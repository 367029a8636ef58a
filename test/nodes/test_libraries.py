import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
from harness import ROOT

from fer_ros.nodes import libraries
from fer_ros.perception.recognition import gpu_possible


def test_what_a_configured_node_needs_is_loaded_from_the_start():
    """torch, which takes seconds, only where it will run the network."""
    network = 'fer_ros.perception.torch_runtime' if gpu_possible() or not find_spec('onnxruntime') else 'onnxruntime'
    names = ('fer_ros.perception.pipeline', network, 'torch')
    program = ('import sys; from fer_ros.nodes import libraries; '
               f'before = [name in sys.modules for name in {names}]; libraries.load_in_background().join(); '
               f'print(*before, *(name in sys.modules for name in {names}))')
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True, timeout=300,
                          check=True)
    assert done.stdout.split() == ['False'] * 3 + ['True', 'True', str(network != 'onnxruntime')]
    assert not done.stderr


def test_a_library_that_is_broken_ends_nothing(monkeypatch):
    monkeypatch.setattr(libraries, 'MODULES', ('no.such.module',))
    libraries.load_in_background().join(60)


def test_what_is_missing_is_named_with_the_remedy():
    with pytest.raises(ModuleNotFoundError) as caught:
        __import__('no_such_library')
    told = libraries.missing(caught.value)
    assert told.startswith(f'no_such_library is not installed for {sys.executable}: ')
    assert 'requirements/robot.txt' in told and '\n' not in told


@pytest.mark.parametrize(('library', 'arguments'), [
    ('safetensors', ()), ('torch', ('--ros-args', '-p', 'runtime:=torch'))])
def test_a_node_without_a_library_ends_with_one_line(tmp_path, library, arguments):
    """As where the workspace's virtual environment is not activated."""
    (tmp_path / f'{library}.py').write_text(f'raise ModuleNotFoundError("No module named {library}", name="{library}")')
    done = subprocess.run([sys.executable, '-m', 'fer_ros.nodes.fer_node', *arguments], cwd=ROOT, capture_output=True,
                          text=True, timeout=300, check=False, env={**os.environ, 'PYTHONPATH': str(tmp_path)})
    assert done.returncode == 1
    assert f'{library} is not installed for' in done.stderr
    assert 'Traceback' not in done.stderr


def test_a_home_that_cannot_be_written_names_the_way_out():
    """ROS puts its log there."""
    environment = {name: value for name, value in os.environ.items() if name != 'ROS_LOG_DIR'} | {'HOME': '/dev/null'}
    done = subprocess.run([sys.executable, '-m', 'fer_ros.nodes.video_source'], cwd=ROOT, capture_output=True,
                          text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 1
    assert 'ROS_LOG_DIR' in done.stderr
    assert 'Traceback' not in done.stderr
