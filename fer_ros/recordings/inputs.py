"""Finds the inputs of process_video."""

import os
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath

from fer_ros.media import urls
from fer_ros.media.containers import container
from fer_ros.media.frame_sources import PICTURES, pictures
from fer_ros.recordings import remote_files
from fer_ros.recordings.bag_files import SUFFIXES as BAGS
from fer_ros.recordings.bag_files import is_bag_folder, is_storage, storage_files
from fer_ros.recordings.remote_files import Remote, RemoteFile

VIDEOS = ('.3gp', '.asf', '.avi', '.flv', '.m2ts', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.mts', '.ogv',
          '.ts', '.webm', '.wmv')
"""Suffixes of videos in a folder, where the first bytes do not tell; a file given explicitly is tried whatever its name
is."""
_AUDIO = ('.aac', '.m4a', '.m4b', '.mka', '.oga', '.ogg', '.opus', '.wma')
_LONGEST_NAME = 200
"""Bytes of the names of outputs; file systems allow 255, suffixes included."""
_FORMULA = ('=', '+', '-', '@', '＝', '＋', '－', '＠')
"""First characters of what spreadsheets take for a formula."""


class InputError(Exception):
    """An input cannot be found or read; the message is one line that names it and the remedy."""


@dataclass(frozen=True)
class Input:
    """A recording, photos or a camera."""

    source: str
    """Path, URL, camera number or device."""
    name: str
    """Name of the output files without suffix; unique within a run, and UTF-8 even if that of the source is not."""
    kind: str
    """Kind of input: video, bag, photos (a file or the image files of a folder) or camera."""
    remote: Remote | None = None
    """What a URL led to."""

    @property
    def shown(self) -> str:
        """`source` as it may be seen: without passwords."""
        return self.source if self.remote is None else urls.shown(self.source)

    def local(self) -> Path:
        """The path of the file or folder on this computer, fetched if it is not there. Raises OSError."""
        return Path(self.source) if self.remote is None else remote_files.fetch(self.remote)

    def release(self) -> None:
        """Remove what was fetched."""
        if self.remote is not None:
            remote_files.release(self.remote)

    def identity(self) -> dict:
        """Identity of the content: path or URL, size in bytes, and time of modification or version. Raises OSError."""
        if self.kind == 'camera':
            return {'path': self.source}
        if self.remote is not None:
            return {'path': self.shown, 'size': self.remote.size, 'version': self.remote.version}
        path = Path(self.source)
        if not path.is_dir():
            files = [path]
        elif self.kind == 'photos':
            files = pictures(path)
        else:
            files = sorted(file for file in path.iterdir() if file.is_file())
        stats = [file.stat() for file in files]
        name = os.fsencode(path.absolute()).decode(errors='surrogateescape')  # the same in each locale
        return {'path': name, 'size': sum(s.st_size for s in stats),
                'modified_ns': max((s.st_mtime_ns for s in stats), default=0)}

    @cached_property
    def size(self) -> int:
        """Size in bytes, at least 1; 0 for a camera."""
        if self.kind == 'camera':
            return 0
        try:
            return max(1, self.identity()['size'])
        except OSError:  # removed meanwhile: reading it reports that
            return 1


@dataclass
class Found:
    """The result of a search."""

    inputs: list[Input] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """What was asked for and cannot be read: one line each, with the remedy."""
    skipped: list[str] = field(default_factory=list)
    """Paths of the files in folders that are neither recordings nor photos."""


def find_inputs(arguments: Sequence[str], leave_out: Path | None = None) -> list[Input]:
    """As `search`, but everything must be readable.

    Raises:
        InputError: an argument does not exist, a folder contains no recording, or an input cannot be read.
    """
    found = search(arguments, leave_out)
    if found.broken:
        raise InputError(found.broken[0])
    return found.inputs


def search(arguments: Sequence[str], leave_out: Path | None = None, leave_out_url: str = '') -> Found:
    """Find the inputs given by command-line arguments. Files are recognised by their first bytes, then by suffix.

    Each real file is found once, however many names and links it has; in folders, files behind links come last.

    Args:
        arguments: files, bags (folders with a metadata.yaml), cameras, and folders, which are searched recursively;
            also URLs of files and folders.
        leave_out: folder that is skipped, even if it is inside a searched one.
        leave_out_url: likewise at a URL.
    """
    finder = _Finder(leave_out, leave_out_url)
    for argument in arguments:
        finder.argument(argument)
    names = _names(list(finder.kinds), {source for source, remote in finder.remotes.items() if remote.folder})
    inputs = [Input(source, names[source], kind, finder.remotes.get(source)) for source, kind in finder.kinds.items()]
    return Found(inputs, finder.broken, finder.skipped)


class _Finder:
    def __init__(self, leave_out: Path | None, leave_out_url: str) -> None:
        self.kinds: dict[str, str] = {}
        """Source to kind of input."""
        self.remotes: dict[str, Remote] = {}
        self.broken: list[str] = []
        self.skipped: list[str] = []
        self._leave_out = None if leave_out is None else leave_out.resolve()
        self._leave_out_url = leave_out_url
        self._known: set[tuple[int, int]] = set()
        """Device and number of the files and folders seen."""
        self._links: list[Path] = []
        self._seen = 0
        """Number of recordings seen, known ones included."""

    def argument(self, argument: str) -> None:
        if urls.is_url(argument):
            try:
                self._url(argument)
            except OSError as error:
                self.broken.append(str(error))
            return
        path = Path(argument).expanduser()
        with self._reported(path):
            if argument.startswith('/dev/') or (argument.isdecimal() and not path.exists()):
                self.kinds[argument] = 'camera'
            elif path.is_dir():
                self._tree(path)
            elif path.exists():
                self._file(path, given=True)
            elif path.is_symlink():
                self._dangling(path)
            else:
                self.broken.append(f'{argument} does not exist: give video files, photos, bags, folders of these, or a '
                                   'camera number')

    def _url(self, url: str) -> None:
        """As a file or folder: what a file contains is told by its beginning, in a file of the same name."""
        folders: dict[str, dict[RemoteFile, str]] = {}
        before = len(self.kinds), len(self.broken)
        with tempfile.TemporaryDirectory() as samples:
            for file in remote_files.find(url, self._leave_out_url):
                name = file.name
                if file.url != url and (name.startswith('.') or PurePosixPath(name).stem.endswith('.partial')):
                    continue
                sample = Path(samples) / name
                try:
                    sample.write_bytes(remote_files.head(file.url))
                except OSError as error:
                    self.broken.append(str(error))
                    continue
                kind = 'metadata' if name == 'metadata.yaml' else self._kind(sample)
                sample.unlink()
                folders.setdefault(file.url.rpartition('/')[0], {})[file] = kind
        for parent, kinds in folders.items():
            self._remote_folder(parent, kinds, given=url in (file.url for file in kinds))
        if (len(self.kinds), len(self.broken)) == before:
            self.broken.append(f'no recordings at {urls.shown(url)}: expected bags, videos or photos')

    def _remote_folder(self, parent: str, kinds: dict[RemoteFile, str], given: bool) -> None:
        is_bag = {'metadata', 'bag'} <= set(kinds.values())
        together: tuple[str, ...] = () if given else ('metadata', 'bag') if is_bag else ('photos',)
        files = tuple(file for file, kind in kinds.items() if kind in together)
        if files:
            self.kinds[parent] = together[-1]
            self.remotes[parent] = Remote(files, PurePosixPath(parent).name)
        for file, kind in kinds.items():
            shown = urls.shown(file.url)
            kind = kind or ('video' if given else '')
            if kind in together:
                continue
            if kind == 'packed' and (given or _recording_suffix(PurePosixPath(shown))):
                self.broken.append(f'{shown} is compressed or an archive: unpack it first')
            elif kind in ('bag', 'video') or (kind == 'photos' and not is_bag):
                self.kinds[file.url] = kind
                self.remotes[file.url] = Remote((file,))
            else:
                self.skipped.append(shown)

    @contextmanager
    def _reported(self, path: Path) -> Iterator[None]:
        """What cannot be read is reported, and does not stop the search."""
        try:
            yield
        except OSError as error:
            self.broken.append(f'{path} cannot be read: {error.strerror or error}')

    def _tree(self, path: Path) -> None:
        seen = self._seen, len(self.broken)
        self._folder(path, given=True)
        while self._links:  # after the real files, so that these are found under their own names
            self._link(self._links.pop(0))
        if (self._seen, len(self.broken)) == seen:
            self.broken.append(f'no recordings in {path}: expected bags, videos or photos, such as files ending in '
                               f'{", ".join((*VIDEOS, *BAGS, *PICTURES))}')

    def _folder(self, path: Path, given: bool = False) -> None:
        if path.resolve() == self._leave_out and not given:
            return
        if self._is_known(path):
            self._seen += 1
            return
        entries = sorted(path.iterdir())
        is_bag = (path / 'metadata.yaml').is_file() and is_bag_folder(path)
        if is_bag:
            self._add(path, 'bag')
            for part in storage_files(path):
                self._is_known(part)
        photos = []
        for entry in entries:
            with self._reported(entry):
                if entry.is_symlink() and not (entry.is_file() and self._kind(entry) == 'photos'):
                    self._links.append(entry)
                elif entry.is_dir():
                    if not entry.name.startswith('.'):
                        self._folder(entry)
                elif entry.is_file() and not entry.name.startswith('.') and self._kind(entry) == 'photos':
                    photos.append(entry)
                else:
                    self._file(entry)
        if photos and is_bag:
            self.skipped += map(str, photos)  # two inputs would have the same path
        elif photos:
            self._add(path, 'photos')

    def _link(self, link: Path) -> None:
        with self._reported(link):
            if link.is_dir():
                self._folder(link)
            elif link.exists():
                self._file(link)
            else:
                self._dangling(link)

    def _dangling(self, link: Path) -> None:
        self.broken.append(f'{link} is a link to {os.readlink(link)}, which does not exist or leads back to it: remove '
                           'it or correct it')

    def _file(self, path: Path, given: bool = False) -> None:
        if not path.is_file():
            if given:
                self.broken.append(f'{path} is not a regular file: give video files, photos, bags, folders of these, '
                                   'or a camera number')
            else:
                self.skipped.append(str(path))
            return
        if not given and (path.name.startswith('.') or path.stem.endswith('.partial')):
            if container(path):
                self.skipped.append(str(path))
            return
        kind = self._kind(path) or ('video' if given else '')
        if kind in ('bag', 'video', 'photos'):
            if self._is_known(path):
                self._seen += 1
            else:
                self._add(path, kind)
        elif kind == 'packed' and (given or _recording_suffix(path)):
            self.broken.append(f'{path} is compressed or an archive: unpack it first')
        elif path.name != 'metadata.yaml' or not is_bag_folder(path.parent):
            self.skipped.append(str(path))

    def _kind(self, path: Path) -> str:
        """Kind of the input in a file, 'packed', or '' if it is none."""
        found, suffix = container(path), path.suffix.lower()
        if is_storage(path):
            return 'bag'
        if found in ('zstd', 'archive'):
            return 'packed'
        if found == 'picture' or (not found and suffix in PICTURES):
            return 'photos'
        if (found == 'video' and suffix not in _AUDIO) or (not found and suffix in VIDEOS):
            return 'video'
        return ''

    def _is_known(self, path: Path) -> bool:
        """Whether the real file or folder has been seen before."""
        status = path.stat()
        key = status.st_dev, status.st_ino
        known = key in self._known
        self._known.add(key)
        return known

    def _add(self, path: Path, kind: str) -> None:
        self._seen += 1
        self.kinds[str(path)] = kind


def _recording_suffix(path: PurePath) -> bool:
    return any(suffix.lower() in (*VIDEOS, *BAGS) for suffix in path.suffixes)


def _names(sources: list[str], folders: Container[str] = ()) -> dict[str, str]:
    """Unique names: the stems if they differ, otherwise names with more of the path. `folders` of URLs are told."""
    def name(source: str, parts: int) -> str:
        path = Path(urls.shown(source)).absolute()
        if source.isdecimal() or source.startswith('/dev/'):
            return f'camera{source}' if source.isdecimal() else path.name
        stem = path.name if path.is_dir() or source in folders or parts > 1 else path.stem
        return '_'.join((*path.parts[1:][-parts:-1], stem))
    names = {source: _safe(name(source, 1)) for source in sources}
    for parts in range(2, max([2, *(len(Path(s).absolute().parts) for s in sources)]) + 1):
        count = Counter(names.values())
        clashing = [source for source in sources if count[names[source]] > 1]
        if not clashing:
            break
        names |= {source: _safe(name(source, parts)) for source in clashing}
    taken: set[str] = set()
    for source in sources:  # names that differ only in what `_safe` replaces
        free = (f'{names[source]}{end}' for end in ('', *(f'_{number}' for number in range(2, len(sources) + 2))))
        names[source] = next(name for name in free if name not in taken)
        taken.add(names[source])
    return names


def _safe(name: str) -> str:
    """`name` as UTF-8 without control characters, and no formula where a spreadsheet opens the file of that name."""
    text = ''.join(f'_x{ord(c) - 0xdc00:02X}' if '\udc80' <= c <= '\udcff'  # a byte that is not UTF-8
                   else '_' if unicodedata.category(c) in ('Cc', 'Cf', 'Cs', 'Zl', 'Zp') else c for c in name)
    if text.startswith(_FORMULA):
        text = f'_{text}'
    encoded = text.encode()
    return text if len(encoded) <= _LONGEST_NAME else encoded[:_LONGEST_NAME].decode(errors='ignore')
