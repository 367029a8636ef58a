"""Finds the inputs of process_video."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

VIDEOS = ('.3gp', '.asf', '.avi', '.flv', '.m2ts', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.mts', '.ogv',
          '.ts', '.webm', '.wmv')
"""Suffixes of videos in a folder; a file given explicitly is tried whatever its name is."""
BAGS = ('.mcap', '.db3')


class InputError(Exception):
    """An input cannot be found or read; the message is one line that names it and the remedy."""


@dataclass(frozen=True)
class Input:
    """A recording or a camera."""

    source: str
    """Path, camera number or device."""
    name: str
    """Name of the output files without suffix; unique within a run."""
    kind: str
    """Kind of input: video, bag or camera."""

    def identity(self) -> dict:
        """Identity of the content: path, size in bytes and time of modification."""
        if self.kind == 'camera':
            return {'path': self.source}
        files = sorted(Path(self.source).iterdir()) if Path(self.source).is_dir() else [Path(self.source)]
        stats = [file.stat() for file in files]
        return {'path': str(Path(self.source).absolute()), 'size': sum(s.st_size for s in stats),
                'modified_ns': max(s.st_mtime_ns for s in stats)}

    @property
    def size(self) -> int:
        """Size in bytes, at least 1; 0 for a camera."""
        return max(1, self.identity()['size']) if self.kind != 'camera' else 0


def find_inputs(arguments: Sequence[str], leave_out: Path | None = None) -> list[Input]:
    """Find the inputs given by command-line arguments.

    Args:
        arguments: files, bags (folders with a metadata.yaml), cameras, and folders, which are searched recursively.
        leave_out: folder that is skipped, even if it is inside a searched one.

    Raises:
        InputError: an argument does not exist, or a folder contains no recording.
    """
    found: dict[str, str] = {}
    for argument in arguments:
        path = Path(argument).expanduser()
        if path.is_dir() and not _is_bag(path):
            inside = _search(path, leave_out)
            if not inside:
                raise InputError(f'no recordings in {argument}: expected rosbag2 folders or files ending in '
                                 f'{", ".join((*VIDEOS, *BAGS))}')
            found |= inside
        elif path.exists() and not argument.startswith('/dev/'):
            found[str(path)] = 'bag' if path.is_dir() or path.suffix in BAGS else 'video'
        elif argument.isdecimal() or argument.startswith('/dev/'):
            found[argument] = 'camera'
        else:
            raise InputError(f'{argument} does not exist: give video files, rosbag2 folders, folders of these, or a '
                             'camera number')
    names = _names(list(found))
    return [Input(source, names[source], kind) for source, kind in found.items()]


def _is_bag(path: Path) -> bool:
    return (path / 'metadata.yaml').exists()


def _search(folder: Path, leave_out: Path | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith('.') or (leave_out is not None and path.absolute() == leave_out.absolute()):
            continue
        if path.is_dir():
            found |= {str(path): 'bag'} if _is_bag(path) else _search(path, leave_out)
        elif path.suffix.lower() in VIDEOS and not path.stem.endswith('.partial'):
            found[str(path)] = 'video'
        elif path.suffix in BAGS:
            found[str(path)] = 'bag'
    return found


def _names(sources: list[str]) -> dict[str, str]:
    """Unique names: the stems if they differ, otherwise names with more of the path."""
    def name(source: str, parts: int) -> str:
        path = Path(source).absolute()
        if source.isdecimal() or source.startswith('/dev/'):
            return f'camera{source}' if source.isdecimal() else path.name
        stem = path.name if path.is_dir() or parts > 1 else path.stem
        return '_'.join((*path.parts[1:][-parts:-1], stem))
    names = {source: name(source, 1) for source in sources}
    for parts in range(2, max([2, *(len(Path(s).absolute().parts) for s in sources)]) + 1):
        seen = list(names.values())
        clashing = [source for source in sources if seen.count(names[source]) > 1]
        if not clashing:
            break
        names |= {source: name(source, parts) for source in clashing}
    return names
