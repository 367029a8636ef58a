"""The environment variable that gives Fast DDS its profile file: its name changed with ROS 2 Kilted."""

import os
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
"""Up to Fast DDS 2 (ROS 2 Jazzy), and from 3 on (Kilted), which warns in every process where the old one is set."""


def profile_variable() -> str:
    """The one of `PROFILE_VARIABLES` that the Fast DDS of this ROS installation knows.

    Told by what rmw_fastrtps_cpp depends on: fastrtps, or fastdds. Where it is not installed, the newer one.
    """
    prefixes = [*filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)), sys.prefix]
    for prefix in prefixes:
        manifest = Path(prefix) / 'share' / 'rmw_fastrtps_cpp' / 'package.xml'
        if manifest.is_file():
            names = {element.text for element in ElementTree.parse(manifest).getroot()}
            return PROFILE_VARIABLES['fastdds' in names]
    return PROFILE_VARIABLES[-1]
