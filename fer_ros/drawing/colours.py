"""Colours that are distinguishable for the colour-blind, and their assignment to faces; BGR, 0 to 255."""

import zlib
from collections.abc import Iterable

Colour = tuple[int, int, int]

# The palette of Okabe and Ito without its yellow, which is invisible on white; wine is from Tol.
FACE_COLOURS: tuple[Colour, ...] = (
    (178, 114, 0),    # blue
    (0, 94, 213),     # vermilion
    (115, 158, 0),    # bluish green
    (167, 121, 204),  # reddish purple
    (0, 159, 230),    # orange
    (233, 180, 86),   # sky blue
    (45, 45, 45),     # nearly black
    (85, 34, 136),    # wine
)

# Solid, dashed, dotted, …: lines are distinguishable without colour. Lengths in px: of a dash, of the gap after it, …
DASHES: tuple[tuple[int, ...], ...] = (
    (), (10, 4), (2, 3), (10, 4, 2, 4), (16, 5), (5, 3), (12, 3, 2, 3, 2, 3), (1, 5))



def dash_of(colour: Colour) -> tuple[int, ...]:
    """The dashes of the line of a face that has this colour of `FACE_COLOURS`; empty: solid."""
    return DASHES[FACE_COLOURS.index(colour)]


POSITIVE: Colour = (178, 114, 0)
NEGATIVE: Colour = (0, 94, 213)
NEUTRAL: Colour = (120, 120, 120)

_REMEMBERED = 256
"""Number of ids whose colour is kept: more than are shown at a time, but bounded."""


class FaceColours:
    """Assigns each face a colour of `FACE_COLOURS` and keeps it.

    The colour follows from the id, so that programs which draw the same faces apart from each other agree; only where
    two faces shown together would share one does the newer take the next free colour.
    """

    def __init__(self) -> None:
        self._index: dict[str, int] = {}

    def __call__(self, face_ids: Iterable[str]) -> dict[str, Colour]:
        """Colours of faces shown together; distinct as long as there are enough colours."""
        face_ids = list(dict.fromkeys(face_ids))
        taken = {self._index[i] for i in face_ids if i in self._index}
        for face_id in face_ids:
            index = self._index.pop(face_id, None)
            if index is None:
                first = zlib.crc32(face_id.encode()) % len(FACE_COLOURS)
                ring = ((first + step) % len(FACE_COLOURS) for step in range(len(FACE_COLOURS)))
                index = next((i for i in ring if i not in taken), first)
                taken.add(index)
            self._index[face_id] = index  # most recently used last
        while len(self._index) > max(_REMEMBERED, len(face_ids)):
            del self._index[next(iter(self._index))]
        return {i: FACE_COLOURS[self._index[i]] for i in face_ids}
