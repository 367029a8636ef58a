import os
import subprocess
import sys

import pytest
from harness import ROOT

from fer_ros.nodes import libraries


def test_what_a_configured_node_needs_is_loaded_from_the_start():
    program = ('import sys; from fer_ros.nodes import libraries; before = "torch" in sys.modules; '
               'libraries.load_in_background().join(); '
               'print(before, "torch" in sys.modules, "onnxruntime" in sys.modules)')
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True, timeout=300,
                          check=True)
    assert done.stdout.split()[:2] == ['False', 'True']
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


def test_a_node_without_torch_ends_with_one_line(tmp_path):
    """As where the workspace's virtual environment is not activated."""
    (tmp_path / 'torch.py').write_text('raise ModuleNotFoundError("No module named \'torch\'", name="torch")')
    done = subprocess.run([sys.executable, '-m', 'fer_ros.nodes.fer_node'], cwd=ROOT, capture_output=True, text=True,
                          timeout=300, check=False, env={**os.environ, 'PYTHONPATH': str(tmp_path)})
    assert done.returncode == 1
    assert 'torch is not installed for' in done.stderr
    assert 'Traceback' not in done.stderr


def test_a_home_that_cannot_be_written_names_the_way_out():
    """ROS puts its log there."""
    environment = {name: value for name, value in os.environ.items() if name != 'ROS_LOG_DIR'} | {'HOME': '/dev/null'}
    done = subprocess.run([sys.executable, '-m', 'fer_ros.nodes.video_source'], cwd=ROOT, capture_output=True,
                          text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 1
    assert 'ROS_LOG_DIR' in done.stderr
    assert 'Traceback' not in done.stderr
