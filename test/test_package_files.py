import sys

import pytest

from fer_ros import package_files
from fer_ros.package_files import shared_file


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """As after colcon build: the module lies in lib, shared files in share/fer_ros of a prefix."""
    module = tmp_path / 'lib/python3/site-packages/fer_ros/package_files.py'
    monkeypatch.setattr(package_files, '__file__', str(module))
    monkeypatch.setattr(sys, 'prefix', str(tmp_path / 'python'))
    share = tmp_path / 'share/fer_ros'
    (share / 'models').mkdir(parents=True)
    (share / 'models/msfernet.safetensors').touch()
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'{tmp_path / "other"}:{tmp_path}')
    return share


def test_source_tree_first(monkeypatch):
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)
    assert (shared_file('fer_ros') / 'package_files.py').samefile(package_files.__file__)


def test_colcon_install(installed):
    assert shared_file('models/msfernet.safetensors') == installed / 'models/msfernet.safetensors'


def test_absent_file_is_named_with_the_places(installed):
    with pytest.raises(FileNotFoundError, match=r'models/none\.safetensors is not part of') as error:
        shared_file('models/none.safetensors')
    assert str(installed) in str(error.value)
