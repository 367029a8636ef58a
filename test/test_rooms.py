"""Imports lead from a room only to those below it, and ROS is known in nodes/ alone."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / 'fer_ros'
ROOMS = ('', 'media', 'results', 'drawing', 'msfernet', 'perception', 'recordings', 'web', 'nodes', 'tools')
"""From the lowest to the highest; the first is the root."""
ROS = {'rclpy', 'rcl_interfaces', 'sensor_msgs', 'std_msgs', 'std_srvs', 'diagnostic_msgs', 'lifecycle_msgs',
       'geometry_msgs', 'hri_msgs', 'vision_msgs'}
MODULES = sorted(PACKAGE.rglob('*.py'))


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ''


def imported(path: Path) -> set[str]:
    """Full names of all modules that are imported anywhere in a file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path} imports relatively'
            names |= {f'{node.module}.{alias.name}' for alias in node.names}
    return names


def test_every_folder_is_a_room():
    assert {room_of(path) for path in MODULES} == set(ROOMS)


@pytest.mark.parametrize('path', MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_lead_downward(path):
    room = room_of(path)
    for name in imported(path):
        first, *rest = name.split('.')
        if first == 'fer_ros':
            other = rest[0] if rest and rest[0] in ROOMS else ''
            assert ROOMS.index(other) <= ROOMS.index(room), f'{path.name} imports {name}'
        assert first not in ROS or room == 'nodes', f'{path.name} imports {name}'
