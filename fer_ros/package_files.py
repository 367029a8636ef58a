"""Files included in the package, in a source tree or in the share folder of a colcon installation."""

import os
import sys
from pathlib import Path

PACKAGE = 'fer_ros'


def shared_file(name: str) -> Path:
    """Path of a file or folder included in the package, such as 'models/msfernet.safetensors'.

    Searched are the source tree from which this module was imported, share/fer_ros of each ament prefix
    (``AMENT_PREFIX_PATH``), and share/fer_ros of the Python environment, in this order.

    Raises:
        FileNotFoundError: it is in none of these places; the message names them.
    """
    places = [folder / name for folder in _share_folders()]
    for path in places:
        if path.exists():
            return path
    looked = ', '.join(map(str, places))
    raise FileNotFoundError(f'{name} is not part of this installation of {PACKAGE}: looked for {looked}; '
                            'reinstall the package, or give another path')


def _share_folders() -> list[Path]:
    source = Path(__file__).resolve().parent.parent
    prefixes = [Path(p) for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p] + [Path(sys.prefix)]
    folders = [source] if (source / 'package.xml').is_file() or (source / 'setup.cfg').is_file() else []
    return list(dict.fromkeys(folders + [prefix / 'share' / PACKAGE for prefix in prefixes]))
