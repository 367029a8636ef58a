"""Every test runs alone on its machine's DDS: local processes only, in a domain of its own."""

import os
import signal
from pathlib import Path

import pytest

from fer_ros.fastdds import PROFILE_VARIABLES, profile_variable
from fer_ros.package_files import shared_file

# Domains up to 101 keep clear of the ports that Linux gives to programs.
os.environ['ROS_DOMAIN_ID'] = str(20 + os.getpid() % 80)
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
for variable in PROFILE_VARIABLES:
    os.environ.pop(variable, None)
os.environ[profile_variable()] = str(Path(__file__).parent.parent / 'config' / 'fastdds_local.xml')
# A shell starts what it runs in the background with SIGINT ignored, and programs under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Shared machines: the tests check results, not speed.
os.environ.setdefault('OMP_NUM_THREADS', '1')


@pytest.fixture(scope='session')
def shipped_model():
    """Path of the weights that come with the package."""
    try:
        return shared_file('models/msfernet.safetensors')
    except FileNotFoundError as error:
        pytest.skip(f'needs the weights that come with the package: {error}')
