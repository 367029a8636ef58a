import os
import sys

import pytest

from fer_ros.fastdds import PROFILE_VARIABLES, profile_variable


def prefix(folder, depends: str):
    share = folder / 'share' / 'rmw_fastrtps_cpp'
    share.mkdir(parents=True)
    (share / 'package.xml').write_text(f'<package><build_depend>fastcdr</build_depend><build_depend>{depends}'
                                       '</build_depend></package>')
    return str(folder)


@pytest.mark.parametrize(('depends', 'expected'), [('fastrtps', 0), ('fastdds', 1)])
def test_the_variable_is_that_of_the_installed_fast_dds(tmp_path, monkeypatch, depends, expected):
    workspace = tmp_path / 'workspace'
    monkeypatch.setenv('AMENT_PREFIX_PATH', os.pathsep.join([str(workspace), prefix(tmp_path / 'ros', depends)]))
    assert profile_variable() == PROFILE_VARIABLES[expected]


def test_without_fast_dds_the_newer_one(tmp_path, monkeypatch):
    monkeypatch.setenv('AMENT_PREFIX_PATH', '')
    monkeypatch.setattr(sys, 'prefix', str(tmp_path))
    assert profile_variable() == PROFILE_VARIABLES[1]
