"""The package as colcon sees, builds and installs it."""

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from fer_ros.parameters import NODES

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PROGRAMS = {'fer_node', 'video_source', 'valence_plot', 'live_table', 'dashboard', 'process_video', 'valence_report',
            'install_models', 'train', 'evaluate'}


@pytest.fixture(scope='module')
def workspace(tmp_path_factory):
    """A workspace with a copy of what belongs to the package, built."""
    if not (BIN / 'colcon').exists():
        pytest.skip('colcon is not installed beside this Python')
    folder = tmp_path_factory.mktemp('workspace')
    source = folder / 'src' / 'fer_ros'
    shutil.copytree(ROOT, source, ignore=lambda path, names: [
        n for n in names if n == '__pycache__' or (Path(path) == ROOT and n.startswith('.'))
        or (Path(path) == ROOT and n in ('build', 'install', 'log', 'runs', 'demo_output', 'test', 'docs'))])
    listed = run(folder, BIN / 'colcon', '--log-base', '/dev/null', 'list')
    assert 'fer_ros\tsrc/fer_ros\t(ros.ament_python)' in listed
    run(folder, BIN / 'colcon', 'build')
    return folder


def run(folder: Path, *command, code=0) -> str:
    """Both outputs of a command that must end with `code`."""
    environment = dict(os.environ, PATH=f'{BIN}{os.pathsep}{os.environ["PATH"]}')
    done = subprocess.run([str(part) for part in command], cwd=folder, env=environment, text=True, timeout=300,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == code, done.stdout
    return done.stdout


def test_everything_is_installed_where_ros_looks_for_it(workspace):
    prefix = workspace / 'install' / 'fer_ros'
    share = prefix / 'share' / 'fer_ros'
    assert (prefix / 'share' / 'ament_index' / 'resource_index' / 'packages' / 'fer_ros').exists()
    assert (share / 'package.xml').exists()
    for folder in ('launch', 'config', 'models'):
        installed = {path.name for path in (share / folder).iterdir()}
        there = {path.name for path in (ROOT / folder).iterdir() if path.name != '__pycache__'}
        assert installed == there
    programs = {path.name for path in (prefix / 'lib' / 'fer_ros').iterdir()}
    assert programs == PROGRAMS
    for name in PROGRAMS:
        assert (prefix / 'lib' / 'fer_ros' / name).read_text().startswith('#!/usr/bin/env python3\n')


@pytest.mark.parametrize(('program', 'arguments', 'told'), [
    ('fer_node', ('-p', 'model:=/no/such/file'), 'no weights file at /no/such/file'),
    ('video_source', ('-p', 'video:=/no/such/file'), 'no video at /no/such/file'),
    ('live_table', ('-p', 'rate:=0.0'), 'rate must be 0.1 to 30 Hz')])
def test_installed_programs_run_from_the_install_folder(workspace, program, arguments, told):
    command = f'. install/setup.sh && exec install/fer_ros/lib/fer_ros/{program} --ros-args {" ".join(arguments)}'
    assert told in run(workspace, 'sh', '-c', command, code=1)


def test_installed_programs_find_the_installed_files(workspace):
    command = ('. install/setup.sh && cd / && python3 -c "from fer_ros.package_files import shared_file as f; '
               "print(f('models/msfernet.safetensors'), f('config/fastdds.xml'))\"")
    assert run(workspace, 'sh', '-c', command).count(str(workspace / 'install' / 'fer_ros' / 'share')) == 2


def test_linked_to_the_source_the_programs_run_in_the_same_python(workspace, tmp_path):
    """By default they would in that of colcon, which is the system's, without what a virtual environment holds."""
    run(workspace, BIN / 'colcon', '--log-base', tmp_path / 'log', 'build', '--symlink-install', '--build-base',
        tmp_path / 'build', '--install-base', tmp_path / 'install')
    programs = tmp_path / 'install' / 'fer_ros' / 'lib' / 'fer_ros'
    assert {path.name for path in programs.iterdir()} == PROGRAMS
    for name in PROGRAMS:
        assert (programs / name).read_text().startswith('#!/usr/bin/env python3\n')


def test_every_program_has_an_entry_point_that_can_be_imported():
    text = (ROOT / 'setup.py').read_text()
    for name in PROGRAMS:
        module = next(line.split('{PACKAGE}')[1].split(':')[0] for line in text.splitlines()
                      if f"f'{name} = " in line)
        assert callable(import_module(f'fer_ros{module}').main)


def test_versions_and_names_agree():
    manifest = ElementTree.parse(ROOT / 'package.xml').getroot()
    assert manifest.get('format') == '3'
    assert manifest.findtext('license') == 'Apache-2.0'
    assert f"version='{manifest.findtext('version')}'" in (ROOT / 'setup.py').read_text()
    optional = {'hri_msgs', 'vision_msgs', 'bondpy'}
    assert not optional & {element.text for element in manifest if element.tag.endswith('depend')}


def test_every_requirement_is_pinned():
    files = list((ROOT / 'requirements').glob('*.txt'))
    assert len(files) >= 4
    for file in files:
        for line in file.read_text().splitlines():
            line = line.split('#')[0].strip()
            assert not line or line == '-r common.txt' or '==' in line, f'{file.name}: {line}'


def test_parameter_file_fits_every_node_that_the_launch_file_starts():
    configured = yaml.safe_load((ROOT / 'config' / 'fer.yaml').read_text())
    assert set(configured) == {f'/**/{name}' for name in NODES}


def test_local_profile_differs_from_the_other_only_in_where_it_listens():
    def without_comments_and_whitelist(name):
        root = ElementTree.parse(ROOT / 'config' / name).getroot()
        for descriptor in root.iter('{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}transport_descriptor'):
            for element in [e for e in descriptor if e.tag.endswith('interfaceWhiteList')]:
                assert [address.text for address in element] == ['127.0.0.1']
                descriptor.remove(element)
        return ''.join(ElementTree.tostring(root, 'unicode').split())
    local, other = (ROOT / 'config' / name for name in ('fastdds_local.xml', 'fastdds.xml'))
    assert 'interfaceWhiteList' in local.read_text() and 'interfaceWhiteList' not in other.read_text()
    assert without_comments_and_whitelist(local.name) == without_comments_and_whitelist(other.name)
