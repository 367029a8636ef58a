"""Every test process has its own DDS domain on this machine, and tests may run in several processes at once.

Tests that share expensive fixtures, such as a running node, are in one module and run in one process, one after the
other. Tests that measure time are in one group, so that they do not disturb each other.
"""

import os
import signal
from pathlib import Path

import hypothesis
import pytest
import ros_domain

from fer_ros.fastdds import PROFILE_VARIABLES, profile_variable
from fer_ros.package_files import shared_file

os.environ['ROS_DOMAIN_ID'] = str(ros_domain.reserve())
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
for variable in PROFILE_VARIABLES:
    os.environ.pop(variable, None)
os.environ[profile_variable()] = str(Path(__file__).parent.parent / 'config' / 'fastdds_local.xml')
# A shell starts what it runs in the background with SIGINT ignored, and programs under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The same examples in every run: a failure can be repeated.
hypothesis.settings.register_profile('fixed', derandomize=True, deadline=None)
hypothesis.settings.load_profile('fixed')
# Shared machines: the tests check results, not speed.
os.environ.setdefault('OMP_NUM_THREADS', '1')

PROCESSES = ('subprocess', 'multiprocessing', 'Program', 'Robot', 'Dashboard')
"""Names in a module that starts other programs."""
BROWSER = {'chromium', 'browser', 'watch'}
TIMING = ('nodes/test_diagnostics', 'nodes/test_video_source', 'nodes/test_valence_plot_node', 'nodes/test_lifecycle',
          'faults/test_end_and_restart')
"""Beginnings of paths of modules that measure time or memory."""
SLOWEST = (*TIMING, 'web/video/test_jobs', 'faults', 'web', 'test_package', 'tools', 'nodes', 'msfernet')
"""Beginnings of paths in the order in which modules start, so that no long one is left for the end."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line('markers', 'processes: starts other programs or a browser; left out by make test-fast')


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what starts programs."""
    module = vars(item.module) if isinstance(item, pytest.Function) else {}
    if any(name in module for name in PROCESSES) or BROWSER & set(getattr(item, 'fixturenames', ())):
        item.add_marker('processes')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slowest."""
    items.sort(key=lambda item: next((i for i, start in enumerate(SLOWEST) if _path(item).startswith(start)),
                                     len(SLOWEST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Keep the tests of a module in one process, and all that measure time in one."""
    from xdist.scheduler import LoadScopeScheduling

    class ByModule(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition('::')[0]
            return 'timing' if path.startswith(tuple(f'test/{name}' for name in TIMING)) else path

    config.option.loadscopereorder = False  # the order of the items is that in which modules start
    return ByModule(config, log)


def _path(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).as_posix()


@pytest.fixture(scope='session')
def shipped_model():
    """Path of the weights that come with the package."""
    try:
        return shared_file('models/msfernet.safetensors')
    except FileNotFoundError as error:
        pytest.skip(f'needs the weights that come with the package: {error}')
