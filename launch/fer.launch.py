"""Starts fer_node, valence_plot and the dashboard on a camera topic, or with a video source."""

import difflib
import os
import sys
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node, PushRosNamespace, SetParameter
from launch_ros.parameter_descriptions import ParameterValue

from fer_ros.fastdds import PROFILE_VARIABLES, profile_variable

SHARE = Path(get_package_share_directory('fer_ros'))

ARGUMENTS = [
    DeclareLaunchArgument('image_topic', default_value='image_raw',
                          description='Camera topic; a relative name is below namespace.'),
    DeclareLaunchArgument('video', default_value='',
                          description='Start a source that publishes on image_topic: camera number (0), device '
                          '(/dev/video0), video file, image folder, or clip for the built-in clip. Empty: use a '
                          'running camera.'),
    DeclareLaunchArgument('device', default_value='',
                          description='Device that runs the network: auto, cpu, cuda or cuda:N. Empty: as in '
                          'params_file.'),
    DeclareLaunchArgument('params_file', default_value=str(SHARE / 'config' / 'fer.yaml'),
                          description='Parameters of all nodes.'),
    DeclareLaunchArgument('namespace', default_value='',
                          description='Namespace of all nodes. ROS4HRI topics stay below /humans, where libhri looks '
                          'for them, and robots in one domain would share them: see humans_namespace.'),
    DeclareLaunchArgument('input', default_value='', choices=['', 'image', 'humans'],
                          description='Where faces come from: the image topic, or another face detector that publishes '
                          'them as ROS4HRI does. Empty: as in params_file.'),
    DeclareLaunchArgument('rotate', default_value='', choices=['', '0', '90', '180', '270'],
                          description='Degrees clockwise by which fer_node turns images so that they stand upright. '
                          'Empty: as in params_file.'),
    DeclareLaunchArgument('ros4hri', default_value='', choices=['', 'true', 'false'],
                          description='Publish the faces as ROS4HRI does. Empty: as in params_file.'),
    DeclareLaunchArgument('humans_namespace', default_value='',
                          description='Namespace of the ROS4HRI topics, such as /robot1/humans. Empty: as in '
                          'params_file, or below the namespace of each of several cameras.'),
    DeclareLaunchArgument('use_sim_time', default_value='', choices=['', 'true', 'false'],
                          description='Time from /clock, for simulations and recordings. Empty: as in params_file.'),
    DeclareLaunchArgument('cameras', default_value='',
                          description="Names of several cameras, such as 'front rear': each gets its own nodes in a "
                          'namespace of that name, below namespace, and subscribes to <name>/image_raw. ROS4HRI topics '
                          'are below <name>/humans. Empty: one camera.'),
    DeclareLaunchArgument('plot', default_value='true', choices=['true', 'false'],
                          description='Start valence_plot: a window if there is a display, and the topic '
                          'valence_plot/plot.'),
    DeclareLaunchArgument('dashboard', default_value='false', choices=['true', 'false'],
                          description='Start the dashboard at the address in params_file. With several cameras the '
                          'pages are at the ports 8080, 8081 and so on.'),
    DeclareLaunchArgument('annotated', default_value='', choices=['', 'true', 'false'],
                          description='Publish fer/annotated while it has subscribers. Empty: as in params_file.'),
]


def nodes(context: LaunchContext) -> list[GroupAction]:
    """Create all nodes from the values of the arguments.

    Raises:
        ValueError: the names of the cameras, or what is given with them, cannot be used.
    """
    check_names(sys.argv)
    value = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    if not Path(value['params_file']).is_file():
        raise ValueError(f'no parameter file at {value["params_file"]}: give the path of a YAML file as params_file')
    cameras = value['cameras'].split()
    if not cameras:
        return [camera(value, value['namespace'])]
    if len(set(cameras)) < len(cameras) or not all(name.isidentifier() for name in cameras):
        raise ValueError(f"cameras must be different names such as 'front rear', got {value['cameras']!r}")
    if value['image_topic'].startswith('/'):
        raise ValueError(f'with several cameras image_topic must be a relative name, got {value["image_topic"]}')
    if value['humans_namespace']:
        raise ValueError('with several cameras each has a humans_namespace of its own, <name>/humans: leave it out')
    namespaces = [f'{value["namespace"].rstrip("/")}/{name}' if value['namespace'] else name for name in cameras]
    return [camera(value, namespace, f'/{namespace.strip("/")}/humans', {'port': 8080 + index})
            for index, namespace in enumerate(namespaces)]


def check_names(command: list[str]) -> None:
    """Refuse arguments that this file does not declare, which launch itself takes and forgets.

    Only where this file is the one that is launched: what includes it may have arguments of its own.

    Args:
        command: the command line.

    Raises:
        ValueError: an argument is not known; the text names those that are.
    """
    names = [argument.name for argument in ARGUMENTS]
    files = [index for index, part in enumerate(command) if Path(part).name == 'fer.launch.py']
    given = [part.partition(':=')[0] for part in command[files[-1]:] if ':=' in part] if files else []
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            raise ValueError(f'unknown launch argument {name}: ' + (f'do you mean {near[0]}? ' if near else '')
                             + f'There are {", ".join(names)}')


def camera(value: dict[str, str], namespace: str, humans_namespace: str = '',
           dashboard_parameters: dict[str, int] | None = None) -> GroupAction:
    """Create the nodes of one camera."""
    fer_parameters = [value['params_file']]
    if value['device']:
        fer_parameters.append({'device': ParameterValue(value['device'], value_type=str)})
    if value['annotated']:
        fer_parameters.append({'annotated': value['annotated'] == 'true'})
    if value['rotate']:
        fer_parameters.append({'rotate': int(value['rotate'])})
    humans_namespace = value['humans_namespace'] or humans_namespace
    for name in ('input', 'ros4hri'):
        if value[name]:
            fer_parameters.append({name: {'true': True, 'false': False}.get(value[name], value[name])})
    if humans_namespace:
        # Consumers treat every message on tracked as the complete set of faces, so cameras cannot share it.
        fer_parameters.append({'humans_namespace': humans_namespace})
    actions = [PushRosNamespace(namespace)]
    if value['use_sim_time']:
        actions.append(SetParameter('use_sim_time', value['use_sim_time'] == 'true'))
    if value['video']:
        actions.append(Node(
            package='fer_ros', executable='video_source', name='video_source', output='screen',
            parameters=[value['params_file'], {'video': ParameterValue(value['video'], value_type=str)}],
            remappings=[('image_raw', value['image_topic'])],
            on_exit=Shutdown(reason='the video source has ended')))
    actions += [
        Node(package='fer_ros', executable='fer_node', name='fer', output='screen', parameters=fer_parameters,
             remappings=[('image', value['image_topic'])], on_exit=Shutdown(reason='fer_node has ended')),
        Node(package='fer_ros', executable='valence_plot', name='valence_plot', output='screen',
             parameters=[value['params_file']], condition=IfCondition(value['plot'])),
        Node(package='fer_ros', executable='dashboard', name='dashboard', output='screen',
             parameters=[value['params_file'], dashboard_parameters or {}],
             condition=IfCondition(value['dashboard'])),
    ]
    return GroupAction(actions)


def generate_launch_description() -> LaunchDescription:
    """Describe the launch; ``ros2 launch fer_ros fer.launch.py --show-args`` lists the arguments."""
    # Without a larger shared-memory segment Fast DDS loses most images between processes.
    profile = [] if any(name in os.environ for name in PROFILE_VARIABLES) else [
        SetEnvironmentVariable(profile_variable(), str(SHARE / 'config' / 'fastdds.xml'))]
    return LaunchDescription([*ARGUMENTS, *profile, OpaqueFunction(function=nodes)])
