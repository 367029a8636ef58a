"""Faces as CSV: one row per face and frame."""

import csv
from collections.abc import Sequence
from typing import TextIO

from fer_ros.emotions import EMOTIONS
from fer_ros.results import wire
from fer_ros.results.faces import FaceEmotion

COLUMNS = ('time_s', 'frame', 'face_id', 'x', 'y', 'width', 'height', 'emotion', 'confidence', 'valence',
           'raw_valence', *EMOTIONS, 'quality')
_FORMULA = ('=', '+', '-', '@', '＝', '＋', '－', '＠')
"""First characters of what spreadsheets take for a formula."""


def text_cell(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula: one line, with an apostrophe first where it must be."""
    text = wire.shown(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


class FacesCsv:
    """Writes the header line when created, and one row per face.

    Args:
        file: open for writing text with ``newline=''``.
        more: names of further columns, after `COLUMNS`.
    """

    def __init__(self, file: TextIO, more: Sequence[str] = ()) -> None:
        self._writer = csv.writer(file, lineterminator='\n')
        self._writer.writerow((*COLUMNS, *more))

    def write(self, time_ns: int, frame: int, face: FaceEmotion, more: Sequence[str] = ()) -> None:
        """Write the row of one face.

        Args:
            time_ns: nanoseconds; written in seconds with six decimals.
            frame: number of the frame.
            more: texts of the further columns.
        """
        seconds, micros = divmod((time_ns + 500) // 1000, 1_000_000)
        self._writer.writerow((
            f'{seconds}.{micros:06d}', frame, text_cell(face.face_id),
            *(f'{v:.1f}' for v in face.box), text_cell(face.emotion),
            *(f'{v:.4f}' for v in (face.confidence, face.valence, face.raw_valence, *face.probabilities, face.quality)),
            *map(text_cell, more)))
