"""What a user notes about a video: markers, and names of people."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from fer_ros.results import wire
from fer_ros.results.faces_csv import text_cell

MOST_MARKERS = 500
MOST_NAMES = 500
LONGEST_TEXT = 200
"""Maximum number of characters of the text of a marker."""
LONGEST_NAME = 40
"""Maximum number of characters of a name."""


class NotesError(Exception):
    """There are too many markers or names."""


@dataclass(frozen=True)
class Marker:
    """A moment of the video."""

    number: int
    """Unique within the video."""
    time_s: float
    text: str


@dataclass(frozen=True)
class Notes:
    """All notes about one video."""

    markers: tuple[Marker, ...] = ()
    """By time."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names by id of the face."""

    def marked(self, time_s: float, text: str) -> 'Notes':
        """With another marker. Raises NotesError."""
        if len(self.markers) >= MOST_MARKERS:
            raise NotesError
        number = max((marker.number for marker in self.markers), default=0) + 1
        marker = Marker(number, round(time_s, 3), wire.shown(text)[:LONGEST_TEXT])
        return replace(self, markers=tuple(sorted((*self.markers, marker), key=lambda one: (one.time_s, one.number))))

    def unmarked(self, number: int) -> 'Notes':
        """Without this marker, if there is one."""
        return replace(self, markers=tuple(marker for marker in self.markers if marker.number != number))

    def named(self, face_id: str, name: str) -> 'Notes':
        """With another name for a face; an empty one removes it. Raises NotesError."""
        names = {**self.names, face_id: wire.shown(name).strip()[:LONGEST_NAME]}
        if len(names) > MOST_NAMES:
            raise NotesError
        return replace(self, names={one: name for one, name in names.items() if name})


def markers_csv(notes: Notes, times: np.ndarray) -> str:
    """The markers as CSV: time_s, frame and text; `times` are those of the frames in seconds."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(('time_s', 'frame', 'text'))
    for marker in notes.markers:
        frame = max(0, int(np.searchsorted(times, marker.time_s + 1e-3, 'right')) - 1)
        writer.writerow((f'{marker.time_s:.3f}', frame, text_cell(marker.text)))
    return file.getvalue()
