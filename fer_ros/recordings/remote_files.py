"""Files that are not on this computer, by the URLs of fsspec: s3://, gs://, https://, sftp:// and others.

Recordings are fetched as a whole before they are read: bags need files, and a video is read at several places.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fer_ros.media.containers import container_of
from fer_ros.media.urls import scheme, shown, without_query

KEPT = 3600.0
"""Seconds for which a fetched recording is kept without being read; its parts are read one after the other."""
_HEAD = 4096
_PACKED_HEAD = 1 << 20
"""Bytes from the beginning of a file by which it is recognised, and of one compressed with Zstandard."""
_VERSIONS = ('ETag', 'etag', 'md5Hash', 'LastModified', 'last_modified', 'mtime', 'modified', 'created')
"""Facts by one of which file systems tell that a file has changed."""


@dataclass(frozen=True)
class RemoteFile:
    """A file as it was found."""

    url: str
    size: int
    """Bytes."""
    version: str
    """Changes with the content; empty where the file system does not tell."""

    @property
    def name(self) -> str:
        """Without the path."""
        return PurePosixPath(without_query(self.url)).name


@dataclass(frozen=True)
class Remote:
    """What an input is made of: a file, or files of a folder."""

    files: tuple[RemoteFile, ...]
    folder: str = ''
    """Name of the folder; empty for a single file."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(file.size for file in self.files)

    @property
    def version(self) -> str:
        """Changes with the content of any file."""
        files = [(without_query(file.url), file.size, file.version) for file in self.files]
        return hashlib.sha256(repr(files).encode()).hexdigest()[:32]


@contextmanager
def reported(url: str) -> Iterator[None]:
    """Whatever the libraries behind fsspec raise becomes an OSError with one line that names the URL.

    They raise exceptions of many kinds, those of the clients for each protocol among them.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise OSError(f'{shown(url)} does not exist') from error
    except Exception as error:
        text = ' '.join(str(error).replace(url, shown(url)).split()) or type(error).__name__
        raise OSError(f'{shown(url)}: {text}') from error


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. Raises OSError."""
    with reported(url):
        from fsspec.core import url_to_fs
        return url_to_fs(url)


def find(url: str, leave_out: str = '') -> list[RemoteFile]:
    """The file at a URL, the files below it, or those that it matches as a pattern (``*``).

    Args:
        url: of a file or folder, or a pattern.
        leave_out: URL of a folder whose files are left out; empty: none.

    Raises:
        OSError: there is nothing, or it cannot be reached.
    """
    files, path = file_system(url)
    store, folder = file_system(leave_out) if leave_out else (None, '')
    http = _is_http(url)
    with reported(url):
        if '*' in path:
            entries = list(files.glob(path, detail=True).values())
        elif (path.endswith('/') if http else files.isdir(path)):
            entries = list(files.find(path, detail=True).values())
        else:
            entries = [files.info(path)]
        if http:  # a list of links has no sizes
            entries = [entry if entry.get('size') else files.info(entry['name']) for entry in entries]
    found = []
    for entry in sorted(entries, key=lambda entry: entry['name']):
        left_out = store is not None and store.protocol == files.protocol and entry['name'].startswith(
            f'{folder.rstrip("/")}/')
        if left_out or entry.get('type', 'file') != 'file':
            continue
        whole = url if len(entries) == 1 and entry['name'] == path else files.unstrip_protocol(entry['name'])
        if entry.get('size') is None:
            raise OSError(f'{shown(whole)}: the server does not say how large it is: download it first')
        version = next((str(entry[name]) for name in _VERSIONS if entry.get(name)), '')
        found.append(RemoteFile(whole, int(entry['size']), version))
    return found


def head(url: str) -> bytes:
    """The beginning of a file, as much as tells what it contains. Raises OSError."""
    files, path = file_system(url)
    how = {'block_size': 0} if _is_http(url) else {'cache_type': 'none'}  # no more is fetched than is read
    with reported(url), files.open(path, 'rb', **how) as file:
        data = file.read(_HEAD)
        return data + file.read(_PACKED_HEAD - _HEAD) if container_of(data) == 'zstd' else data


def fetch(remote: Remote) -> Path:
    """The path of a copy on this computer: of the file, or a folder with the files; fetched if it is not there.

    Processes on one computer share the copy.

    Raises:
        OSError: it cannot be fetched, has another size than before, or the disk is full.
    """
    place = _place(remote)
    with (place.parent / f'{place.name}.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _forget_unused()
            _download(remote, place)
    os.utime(place)
    return place / (remote.folder or remote.files[0].name)


def release(remote: Remote) -> None:
    """Remove the copy on this computer, if there is one."""
    place = _place(remote)
    shutil.rmtree(place, ignore_errors=True)
    (place.parent / f'{place.name}.lock').unlink(missing_ok=True)


def cache_folder(*names: str) -> Path:
    """A folder in the cache of the user, from ``XDG_CACHE_HOME``, which only the user can read. Raises OSError."""
    folder = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'fer_ros'
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = folder.joinpath(*names)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _is_http(url: str) -> bool:
    return scheme(url) in ('http', 'https')


def _place(remote: Remote) -> Path:
    return cache_folder('inputs') / remote.version


def _download(remote: Remote, place: Path) -> None:
    temporary = place.with_name(f'{place.name}.partial')
    shutil.rmtree(temporary, ignore_errors=True)
    folder = temporary / remote.folder
    folder.mkdir(parents=True)
    try:
        for file in remote.files:
            files, path = file_system(file.url)
            target = folder / file.name
            with reported(file.url):
                files.get_file(path, str(target))
            if target.stat().st_size != file.size:
                raise OSError(f'{shown(file.url)} has {target.stat().st_size} bytes now, {file.size} before')
        os.replace(temporary, place)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _forget_unused() -> None:
    """Remove the copies that nobody has opened for long: on other computers nobody says when a recording is done."""
    for path in cache_folder('inputs').iterdir():
        with suppress(OSError):  # another process has removed it
            if time.time() - path.stat().st_mtime > KEPT:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
