"""An output folder at a URL: a folder on this computer whose finished files are moved there."""

import json
import shutil
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from fer_ros.atomic_files import write_file
from fer_ros.media import urls
from fer_ros.recordings import dataset, remote_files
from fer_ros.recordings.part_store import FOLDER as PARTS

_KNOWN = '.known.json'
"""Sizes and times of the files in the folder that are also at the URL."""


class RemoteOutput:
    """The folder and its URL.

    What cannot be moved stays in the folder, also when the program ends, and is moved by the next run; so do parts of
    recordings that are not complete.

    Args:
        url: of the outputs; a URL of fsspec.

    Raises:
        OSError: it cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip('/')
        self.shown = urls.shown(self.url)
        """The URL without what gives access."""
        self._files, self._path = remote_files.file_system(self.url)
        key = sha256(urls.without_query(self.url).encode()).hexdigest()[:32]
        self.folder = remote_files.cache_folder('outputs', key)
        """The folder on this computer."""
        self._known: dict[str, list[int]] = {}
        with suppress(OSError, ValueError):  # without it, what is there is moved again
            self._known = json.loads((self.folder / _KNOWN).read_text())
        self.push()
        self._pull()

    def push(self) -> None:
        """Move finished files to the URL. Summaries stay here too: they tell what is finished. Raises OSError."""
        for path in sorted(self.folder.rglob('*'), key=lambda path: path.suffix == '.json'):  # the summary comes last
            name = path.relative_to(self.folder).as_posix()
            if (path.is_dir() or name == _KNOWN or name.startswith(f'{PARTS}/') or '.partial.' in path.name
                    or self._known.get(name) == _state(path)):
                continue
            self._put(path, name)
            if path.suffix == '.json':
                self._forget_faces(path)
                self._remember(path, name)
            else:
                path.unlink()

    def without_parquet(self) -> None:
        """Remove the Parquet table of an earlier run. Raises OSError."""
        self._remove(f'{dataset.TABLES}/recordings.parquet')

    def close(self) -> None:
        """Remove the folder if nothing in it is missing at the URL."""
        rest = [path for path in self.folder.rglob('*') if path.is_file() and path.name != _KNOWN]
        if all(self._known.get(path.relative_to(self.folder).as_posix()) == _state(path) for path in rest):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _pull(self) -> None:
        """Fetch the summaries that are at the URL, and no longer believe in others."""
        with remote_files.reported(self.url):
            self._files.invalidate_cache()
            there = self._files.glob(f'{self._path}/*.json') if self._files.exists(self._path) else []
            for path in self.folder.glob('*.json'):
                if path.name != _KNOWN:
                    path.unlink()
            self._known.clear()
            for remote in there:
                name = str(remote).rpartition('/')[2]
                write_file(self.folder / name, self._files.cat_file(remote))
                self._remember(self.folder / name, name)

    def _put(self, path: Path, name: str) -> None:
        target = f'{self._path}/{name}'
        with remote_files.reported(self.url):
            self._files.makedirs(target.rpartition('/')[0], exist_ok=True)
            self._files.put_file(str(path), target)

    def _forget_faces(self, summary: Path) -> None:
        """A recording that was completed without Parquet leaves the dataset."""
        made = json.loads(summary.read_text(encoding='utf-8'))
        if made.get('settings', {}).get('format') == 'csv':
            faces = dataset.faces_file(self.folder, summary.stem)
            self._remove(faces.relative_to(self.folder).as_posix())

    def _remove(self, name: str) -> None:
        with remote_files.reported(self.url):
            if self._files.exists(f'{self._path}/{name}'):
                self._files.rm_file(f'{self._path}/{name}')

    def _remember(self, path: Path, name: str) -> None:
        self._known[name] = _state(path)
        write_file(self.folder / _KNOWN, json.dumps(self._known).encode())


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
