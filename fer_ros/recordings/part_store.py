"""Keeps the finished parts of recordings that are not complete yet, beside their outputs."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from fer_ros.atomic_files import write_file
from fer_ros.recordings.part_results import VERSION, PartFileError, PartResult, from_bytes
from fer_ros.recordings.parts import Part

FOLDER = '.parts'
"""Folder in the output folder."""


class PartStore:
    """The parts of one recording, in a folder of its own that is there only while there are any.

    Args:
        folder: of the outputs.
        name: of the outputs of the recording.
        made_of: what the results depend on: identity of the input and settings.
        resume: whether parts of an earlier run are used; otherwise they are removed.
    """

    def __init__(self, folder: Path, name: str, made_of: Mapping, resume: bool) -> None:
        self._folder = folder / FOLDER / name
        self._key = hashlib.sha256(json.dumps([VERSION, made_of], sort_keys=True).encode()).hexdigest()
        if not resume:
            self.remove()

    def load(self, part: Part) -> PartResult | None:
        """A finished part; None if there is none, or it was made of something else, or its file is damaged."""
        try:
            result, key = from_bytes(self._path(part).read_bytes())
        except (OSError, PartFileError):  # it is made again
            return None
        return result if key == self.key(part) else None

    def save(self, part: Part, data: bytes) -> None:
        """Keep a finished part: the contents of its file, with its `key`. Raises OSError."""
        write_file(self._path(part), data)

    def key(self, part: Part) -> str:
        """What the results of a part depend on."""
        return f'{self._key} {json.dumps(asdict(part), sort_keys=True)}'

    def remove(self) -> None:
        """Remove all parts: the recording is complete."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):  # there are others, or none ever was
            self._folder.parent.rmdir()

    def _path(self, part: Part) -> Path:
        return self._folder / f'{part.number:06d}.npz'
