"""The launch file, with a ROS installation's launch and the package as colcon installs it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from harness import PATIENCE, ROOT, Robot
from process_tree import children
from rcl_interfaces.srv import GetParameters
from std_msgs.msg import String

from fer_ros.fastdds import PROFILE_VARIABLES, profile_variable

pytest.importorskip('launch_ros', reason='launch_ros is not installed')

LAUNCH = ('import sys; from launch import LaunchService; from launch.actions import IncludeLaunchDescription; '
          'from launch import LaunchDescription; from launch.actions import SetLaunchConfiguration; '
          's = LaunchService(); s.include_launch_description(LaunchDescription(['
          # In seconds, instead of 5 each: nothing that ends is killed because the machine is busy.
          'SetLaunchConfiguration("sigterm_timeout", "30"), SetLaunchConfiguration("sigkill_timeout", "30"), '
          'IncludeLaunchDescription(sys.argv[1], '
          'launch_arguments=[a.split(":=", 1) for a in sys.argv[2:]])])); sys.exit(s.run())')


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
    """Where the package is installed."""
    colcon = Path(sys.executable).parent / 'colcon'
    if not colcon.exists():
        pytest.skip('colcon is not installed beside this Python')
    folder = tmp_path_factory.mktemp('launched')
    subprocess.run([colcon, '--log-base', folder / 'log', 'build', '--base-paths', ROOT, '--build-base',
                    folder / 'build', '--install-base', folder / 'install'], check=True, capture_output=True,
                   timeout=300)
    return folder / 'install' / 'fer_ros'


def launched(prefix, log, *arguments, **environment) -> subprocess.Popen:
    site = next((prefix / 'lib').glob('python*/site-packages'))
    environment = {**os.environ, 'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
                   'AMENT_PREFIX_PATH': os.pathsep.join([str(prefix), os.environ.get('AMENT_PREFIX_PATH', '')]),
                   'PYTHONPATH': os.pathsep.join([str(site), os.environ.get('PYTHONPATH', '')]),
                   'ROS_LOG_DIR': str(log.parent / 'roslog'), **environment}
    description = prefix / 'share' / 'fer_ros' / 'launch' / 'fer.launch.py'
    with log.open('w') as file:
        return subprocess.Popen([sys.executable, '-c', LAUNCH, description, *arguments], cwd=log.parent,
                                env=environment, stdout=file, stderr=subprocess.STDOUT)


def test_own_source_in_a_namespace_with_plot_and_profile(prefix, tmp_path, monkeypatch):
    for name in PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    robot = Robot()
    faces = robot.listen(String, '/front/fer/faces')
    process = launched(prefix, tmp_path / 'log', 'video:=clip', 'namespace:=front', 'image_topic:=camera/image',
                       'annotated:=false')
    try:
        robot.wait(lambda: len(faces) > 10, 'for faces')
        robot.wait(lambda: {'/front/video_source', '/front/fer', '/front/valence_plot'} <= {
            f'{space}/{name}' for name, space in robot.node.get_node_names_and_namespaces()}, 'for all nodes')
        robot.wait(lambda: robot.node.count_publishers('/front/camera/image') == 1, 'for the images')
        environments = [Path(f'/proc/{pid}/environ').read_bytes() for pid in children(process.pid)]
        assert len(environments) == 3
        profile = str(prefix / 'share' / 'fer_ros' / 'config' / 'fastdds.xml')
        assert all(f'{profile_variable()}={profile}'.encode() in environment for environment in environments)
        other, = set(PROFILE_VARIABLES) - {profile_variable()}
        assert not any(other.encode() in environment for environment in environments)
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(PATIENCE)
        robot.close()
    text = (tmp_path / 'log').read_text()
    assert code == 0, text
    assert text.count('process has finished cleanly') == 3
    assert 'Traceback' not in text and 'escalating' not in text


def test_without_video_it_listens_to_the_camera_and_the_users_profile_stays(prefix, tmp_path):
    mine = tmp_path / 'mine.xml'
    mine.write_bytes((ROOT / 'config' / 'fastdds.xml').read_bytes())
    robot = Robot()
    process = launched(prefix, tmp_path / 'log', 'image_topic:=/camera/image_raw', 'plot:=false', 'device:=cpu',
                       **{profile_variable(): str(mine)})
    try:
        robot.wait(lambda: robot.node.count_subscribers('/camera/image_raw') == 1, 'for the subscription')
        pid, = children(process.pid)
        environment = Path(f'/proc/{pid}/environ').read_bytes()
        assert f'{profile_variable()}={mine}'.encode() in environment
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        robot.close()


@pytest.mark.parametrize(('arguments', 'told'), [
    (['imagetopic:=/camera/image_raw'], 'unknown launch argument imagetopic: do you mean image_topic? There are'),
    (['colour:=red'], 'unknown launch argument colour: There are image_topic, video,'),
    (['params_file:=/no/such/file.yaml'], 'no parameter file at /no/such/file.yaml'),
    (['cameras:=front rear', 'humans_namespace:=/robot1/humans'], 'with several cameras each has a humans_namespace'),
    (['rotate:=45'], '"45" is not valid'), (['ros4hri:=yes'], '"yes" is not valid')])
def test_an_argument_that_cannot_be_used_ends_the_launch(prefix, tmp_path, arguments, told):
    process = launched(prefix, tmp_path / 'log', 'plot:=false', *arguments)
    assert process.wait(PATIENCE) == 1
    text = (tmp_path / 'log').read_text()
    assert told in text
    assert 'process started' not in text


def test_arguments_become_parameters(prefix, tmp_path):
    robot = Robot()
    process = launched(prefix, tmp_path / 'log', 'plot:=false', 'use_sim_time:=true', 'ros4hri:=false', 'input:=image',
                       'humans_namespace:=/robot1/humans', 'namespace:=robot1', 'rotate:=270',
                       f'params_file:={waiting(tmp_path)}')
    try:
        robot.wait(lambda: '/robot1/fer' in {f'{space}/{name}' for name, space
                                             in robot.node.get_node_names_and_namespaces()}, 'for the node')
        names = ['use_sim_time', 'ros4hri', 'input', 'humans_namespace', 'rotate']
        answer = robot.call(GetParameters, '/robot1/fer/get_parameters', GetParameters.Request(names=names))
        sim_time, ros4hri, source, humans, rotate = answer.values
        assert sim_time.bool_value and not ros4hri.bool_value
        assert (source.string_value, humans.string_value) == ('image', '/robot1/humans')
        assert rotate.integer_value == 270
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        robot.close()


def waiting(folder: Path) -> Path:
    """Parameters of a node that waits to be configured."""
    path = folder / 'waiting.yaml'
    path.write_text('/**/fer:\n  ros__parameters:\n    autostart: false\n')
    return path


def test_a_missing_video_ends_the_launch(prefix, tmp_path):
    process = launched(prefix, tmp_path / 'log', 'video:=/no/such/video.mp4', 'plot:=false')
    process.wait(PATIENCE)
    assert 'no video at /no/such/video.mp4' in (tmp_path / 'log').read_text()


def test_the_page_is_served_where_it_is_wanted(prefix, tmp_path):
    pytest.importorskip('nicegui', reason='nicegui is not installed')
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text('/**/dashboard:\n  ros__parameters:\n    port: 0\n')
    robot = Robot()
    process = launched(prefix, tmp_path / 'log', 'dashboard:=true', 'plot:=false', f'params_file:={parameters}')
    try:
        robot.wait(lambda: 'the page is at http://127.0.0.1:' in (tmp_path / 'log').read_text(), 'for the page')
        robot.wait(lambda: 'dashboard' in robot.node.get_node_names(), 'for its name')
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        robot.close()
