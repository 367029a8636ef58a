"""Draws valence over time, one line per face.

OpenCV draws the plot in a few milliseconds, fast enough for 10 redraws per second beside a camera.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from fer_ros.drawing.colours import NEGATIVE, NEUTRAL, POSITIVE, Colour, FaceColours, dash_of
from fer_ros.drawing.dashes import dashed
from fer_ros.drawing.text import put_text, text_size
from fer_ros.emotions import EMOTIONS
from fer_ros.parameters import VALENCE_PLOT, defaults
from fer_ros.results.history import FaceSeries, FacesHistory, breaks

NEUTRAL_BAND = 1 / 3
"""Half-width of the band labelled neutral: a visual aid, not the decision of the network."""

SILENCE = 0.5
"""Seconds without a frame that break a line; at low frame rates four times the usual interval does."""

_DEFAULTS = defaults(VALENCE_PLOT)
_TOP = 1.06  # valence at the upper edge, a little above 1 so that a line at 1 is seen whole
_INK: Colour = (60, 60, 60)
_FAINT: Colour = (150, 150, 150)
_WHITE: Colour = (255, 255, 255)
_SHIFT = 4  # cv2 takes coordinates in 1/16 pixel
_TOLERANCE = 0.25  # pixels by which the smoothed line may differ from its samples
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


@dataclass(frozen=True)
class Area:
    """The rectangle of the plot that contains the lines, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def x(self, seconds: float, span: float) -> float:
        """Column of a time in seconds from the left edge of an axis of `span` seconds."""
        return self.left + seconds / span * self.width

    def y(self, valence: float) -> float:
        """Row of a valence."""
        return self.top + (_TOP - valence) / (2 * _TOP) * self.height


class ValencePlot:
    """A plot of fixed size: the smoothed valence is thick, the raw valence thin and pale below it.

    Each face has a colour and a pattern of dashes of its own, the same as on the page of the dashboard. A line has a
    gap where frames arrived without the face or no frames arrived. Faces tracked for less than `min_life` seconds are
    not drawn: false detections are short-lived, and the plot remains readable.

    Args:
        width, height: size in pixels, at least 240 × 120.
        min_life: seconds. This and the size are by default those of the node `valence_plot`.
        colours: shared with other images of the same faces.

    Raises:
        ValueError: the plot would not be legible.
    """

    def __init__(self, width: int = _DEFAULTS['width'], height: int = _DEFAULTS['height'], *,
                 min_life: float = _DEFAULTS['min_life'], colours: FaceColours | None = None) -> None:
        if width < 240 or height < 120:
            raise ValueError(f'a valence plot of {width}×{height} pixels is not legible: use at least 240×120')
        self.min_life = min_life
        self._colours = colours or FaceColours()
        self._size = size = max(10, round(min(width / 68, height / 28)))  # of the font, px
        self._shape = (height, width, 3)
        left, right = text_size('+1.0', size)[0] + round(2.2 * size), text_size('disgusted', size, bold=True)[0] + size
        top, bottom = round(1.9 * size), round(2.9 * size)
        self.area = Area(left, top, width - left - right, height - top - bottom)
        self._line = max(2, round(size / 7))
        self._background: tuple[tuple, np.ndarray] | None = None

    def rolling(self, history: FacesHistory, now_ns: int, seconds: float) -> np.ndarray:
        """Draw the last `seconds` before `now_ns`, which is on the time line of the stamps.

        Living faces are labelled with their emotion at the end of their line.

        Returns:
            uint8 (height, width, 3), BGR.
        """
        begin_ns = now_ns - round(seconds * 1e9)
        picture = self._blank(seconds, before_now=True)
        stamps = history.stamps()
        gap_ns = longest_step(stamps)
        last = history.last
        silent = len(stamps) == 0 or last is None or now_ns - int(stamps[-1]) > gap_ns
        living = set() if silent or last is None else {face.face_id for face in last.faces}
        series = [s for s in history.series() if s.life >= self.min_life and s.samples['stamp_ns'][-1] >= begin_ns]
        colour_of = self._colours(s.face_id for s in series)
        if silent:
            self._draw_silence(picture, stamps, begin_ns, now_ns)
        self._draw_lines(picture, series, colour_of, begin_ns, now_ns, gap_ns)
        present = [s for s in series if s.face_id in living]
        self._draw_tips(picture, present, colour_of)
        legend = [(s.face_id, _number(s.samples['valence'][-1]), True) for s in present]
        legend += [(s.face_id, '', False) for s in reversed(series) if s.face_id not in living]
        self._draw_legend(picture, legend, colour_of)
        if not silent and not living:
            self._note(picture, 'no face')
        return picture

    def whole(self, history: FacesHistory) -> np.ndarray:
        """Draw the whole `history`, with the mean and the most frequent emotion of each face; returns as `rolling`.

        The axis starts at the first frame.
        """
        stamps = history.stamps()
        begin_ns, end_ns = (int(stamps[0]), int(stamps[-1])) if len(stamps) else (0, 0)
        end_ns = max(end_ns, begin_ns + 1_000_000_000)
        picture = self._blank((end_ns - begin_ns) * 1e-9, before_now=False)
        series = [s for s in history.series() if s.life >= self.min_life]
        colour_of = self._colours(s.face_id for s in series)
        self._draw_lines(picture, series, colour_of, begin_ns, end_ns, longest_step(stamps))
        if not series:
            self._note(picture, 'no face')
        series.sort(key=lambda s: -len(s.samples))
        self._draw_legend(picture, [(s.face_id, _summary(s), True) for s in series], colour_of)
        return picture

    def _blank(self, span: float, before_now: bool) -> np.ndarray:
        """A copy of the plot without lines, which is redrawn only when the axis changes."""
        if self._background is None or self._background[0] != (span, before_now):
            self._background = ((span, before_now), self._draw_background(span, before_now))
        return self._background[1].copy()

    def _draw_background(self, span: float, before_now: bool) -> np.ndarray:
        area, size = self.area, self._size
        picture = np.full(self._shape, 255, np.uint8)
        right, bottom = area.left + area.width, area.top + area.height
        edges = [area.top, round(area.y(NEUTRAL_BAND)), round(area.y(-NEUTRAL_BAND)), bottom]
        for name, colour, y0, y1, strength in zip(
                ('positive', 'neutral', 'negative'), (POSITIVE, NEUTRAL, NEGATIVE), edges, edges[1:],
                (0.09, 0.05, 0.09), strict=False):
            picture[y0:y1, area.left:right] = _pale(colour, strength)
            if text_size(name, size)[0] < y1 - y0:
                put_text(picture, name, size / 4, (y0 + y1) / 2, size, colour, align=(0, 0.5),
                         upwards=True)

        for valence in (-1, -0.5, 0, 0.5, 1):
            y = round(area.y(valence))
            picture[y, area.left:right] = _pale(_INK, 0.75) if valence == 0 else _pale(_INK, 0.18)
            put_text(picture, _number(valence, 1), area.left - size / 2, y, size, _INK, align=(1, 0.5))
        if before_now:
            ticks = [(span - t, f'−{t:g}' if t else 'now') for t in _ticks(span, area.width / (6 * size))]
        else:
            ticks = [(t, f'{t:g}') for t in _ticks(span, area.width / (6 * size))]
        for t, label in ticks:
            x = min(round(area.x(t, span)), right - 1)
            picture[area.top:bottom, x] = _pale(_INK, 0.18)
            put_text(picture, label, x, bottom + size / 4, size, _INK, align=(0.5, 0))
        title = 'seconds before now' if before_now else 'seconds from the start'
        put_text(picture, title, area.left + area.width / 2, self._shape[0] - 2, size, _FAINT, align=(0.5, 1))
        cv2.rectangle(picture, (area.left - 1, area.top - 1), (right, bottom), _pale(_INK, 0.5))
        put_text(picture, 'valence', size / 2, area.top / 2, size, _INK, align=(0, 0.5), bold=True)
        return picture

    def _draw_lines(self, picture: np.ndarray, series: list[FaceSeries], colour_of: dict[str, Colour],
                    begin_ns: int, end_ns: int, gap_ns: int) -> None:
        area = self.area
        inside = picture[area.top:area.top + area.height, area.left:area.left + area.width]
        scale = area.width / (end_ns - begin_ns)
        shapes = []
        start = begin_ns * scale  # px from a fixed time, so that dashes move with the line
        for s in series:
            samples = s.samples[max(0, int(np.searchsorted(s.samples['stamp_ns'], begin_ns)) - 1):]
            shapes.append(_Shape(samples, begin_ns, scale, gap_ns))
        for name, thickness, strength in (('raw_valence', 1, 0.45), ('valence', self._line, 1.0)):
            for s, shape in zip(series, shapes, strict=True):
                colour, dense = _pale(colour_of[s.face_id], strength), shape.dense
                runs = shape.runs((_TOP - shape.samples[name]) / (2 * _TOP) * area.height)
                for run in runs:
                    pieces = run[None]
                    if thickness > 1:  # fewer, longer strokes: thick ones are expensive
                        run = _in_line(run) if dense else run
                        run = cv2.approxPolyDP(run.astype(np.float32)[:, None], _TOLERANCE, False)[:, 0]
                        pieces = self._dashed(run, colour_of[s.face_id], thickness, start + float(run[0, 0]), dense)
                    points = np.round(run * (1 << _SHIFT)).astype(np.int32)
                    if len(points) == 1:  # a single frame between two gaps
                        radius = max(thickness, 2) << (_SHIFT - 1)
                        cv2.circle(inside, points[0].tolist(), radius, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)
                    elif dense and thickness == 1:  # adjacent strokes form an area
                        outline = np.concatenate([points[0::2], points[1::2][::-1]])
                        cv2.fillPoly(inside, [outline], colour, cv2.LINE_8, _SHIFT)
                    else:
                        self._stroke(inside, pieces, colour, thickness)

    def _dashed(self, line: np.ndarray, colour: Colour, thickness: int, start: float,
                across: bool = False) -> np.ndarray:
        """`line`, float (N, 2), in the dashes of this colour; OpenCV's lines are about a pixel wider than asked for."""
        dash = [length * (thickness + 1) / 2 for length in dash_of(colour)]
        return dashed(line, dash, start, thickness, across)

    def _stroke(self, picture: np.ndarray, lines: np.ndarray, colour: Colour, thickness: int) -> None:
        points = np.round(lines * (1 << _SHIFT)).astype(np.int32)
        cv2.polylines(picture, list(points), False, colour, thickness, cv2.LINE_AA, _SHIFT)

    def _draw_tips(self, picture: np.ndarray, series: list[FaceSeries], colour_of: dict[str, Colour]) -> None:
        """Draw emotion names right of the ends of the lines, shifted so that they do not overlap."""
        area, step = self.area, 1.2 * self._size
        series = sorted(series, key=lambda s: (-s.samples['valence'][-1], s.face_id))
        ys = [area.y(float(s.samples['valence'][-1])) for s in series]
        for i in range(1, len(ys)):
            ys[i] = max(ys[i], ys[i - 1] + step)
        limit = float(area.top + area.height)
        for i in reversed(range(len(ys))):
            ys[i] = min(ys[i], limit)
            limit = ys[i] - step
        for y, s in zip(ys, series, strict=True):
            put_text(picture, EMOTIONS[s.samples['emotion'][-1]], area.left + area.width + self._size / 2, y,
                     self._size, colour_of[s.face_id], align=(0, 0.5), bold=True)

    def _draw_legend(self, picture: np.ndarray, entries: list[tuple[str, str, bool]],
                     colour_of: dict[str, Colour]) -> None:
        """Draw (face id, text, whether it is present) in one row above the lines, as many as fit."""
        size, y = self._size, self.area.top // 2
        x = self.area.left + round(4.5 * size)
        for index, (face_id, text, present) in enumerate(entries):
            label = f'{face_id} {text}'.rstrip()
            width = round(3 * size) + text_size(label, size, bold=present)[0]
            left = len(entries) - index - 1
            if x + width + (text_size(f'+{left} more', size)[0] + size if left else 0) > self._shape[1]:
                put_text(picture, f'+{left + 1} more', self._shape[1] - size / 4, y, size, _FAINT, align=(1, 0.5))
                break
            colour = colour_of[face_id] if present else _pale(colour_of[face_id], 0.5)
            sample = np.array([(x, y), (x + round(2.2 * size), y)], np.float32)
            self._stroke(picture, self._dashed(sample, colour_of[face_id], self._line, 0.0), colour, self._line + 1)
            put_text(picture, label, x + round(2.6 * size), y, size, _INK if present else _FAINT, align=(0, 0.5),
                     bold=present)
            x += width + size

    def _draw_silence(self, picture: np.ndarray, stamps: np.ndarray, begin_ns: int, now_ns: int) -> None:
        if len(stamps) == 0:
            self._note(picture, 'no frames yet')
            return
        area = self.area
        silence = now_ns - int(stamps[-1])
        x = max(0, round((int(stamps[-1]) - begin_ns) / (now_ns - begin_ns) * area.width))
        part = picture[area.top:area.top + area.height, area.left + x:area.left + area.width]
        part[:] = part * 0.93  # darker: the gap is not the absence of faces
        self._note(picture, f'no frames for {silence * 1e-9:.0f} s')

    def _note(self, picture: np.ndarray, text: str) -> None:
        area, size = self.area, self._size
        put_text(picture, text, area.left + area.width - size / 2, area.top + size / 3, size, _INK, align=(1, 0))


def longest_step(stamps: np.ndarray) -> int:
    """Nanoseconds between two frames above which a line has a gap; `stamps` in nanoseconds."""
    usual = float(np.median(np.diff(stamps[-200:]))) if len(stamps) > 1 else 0.0
    return round(max(SILENCE * 1e9, 4 * usual))


class _Shape:
    """The common geometry of the raw and the smoothed line of a face: the columns of its points and its gaps.

    Gaps too narrow to be visible are ignored. If there are many samples per column (`dense`), the minimum and the
    maximum are kept, in this order, so that a line has two points per column however long the history is.
    """

    def __init__(self, samples: np.ndarray, begin_ns: int, scale: float, gap_ns: int) -> None:
        self.samples = samples
        stamps = np.ascontiguousarray(samples['stamp_ns'])
        self._x = x = (stamps - begin_ns) * scale
        broken = breaks(samples, gap_ns)
        self._broken = broken[np.diff(x)[broken - 1] > 1.5]
        self.dense = len(x) > 1 and len(x) > 2 * (x[-1] - x[0] + 1)
        if self.dense:
            column = np.floor(x)
            new = np.diff(column, prepend=column[0] - 1) != 0
            new[self._broken] = True
            self._starts = starts = np.flatnonzero(new)
            self._x = np.repeat((x[starts] + x[np.append(starts[1:], len(x)) - 1]) / 2, 2)
            self._broken = 2 * np.searchsorted(starts, self._broken)

    def runs(self, y: np.ndarray) -> list[np.ndarray]:
        """The line through `y` in pixels, split at gaps: float arrays (N, 2)."""
        if self.dense:
            y = np.stack([np.minimum.reduceat(y, self._starts), np.maximum.reduceat(y, self._starts)], axis=1).ravel()
        return np.split(np.stack([self._x, y], axis=1), self._broken)


def _in_line(run: np.ndarray) -> np.ndarray:
    """Pairs of minimum and maximum in the order in which the line passes them: reversed if it rises."""
    pairs = run.reshape(-1, 2, 2).copy()
    rises = np.diff(pairs[:, :, 1].mean(axis=1), append=pairs[-1, :, 1].mean()) < 0
    pairs[rises] = pairs[rises, ::-1]
    pairs[:, :, 0] += -0.25, 0.25  # a slope instead of steps
    return pairs.reshape(-1, 2)


def _ticks(span: float, most: float) -> np.ndarray:
    """Round times from 0 to `span`, at most about `most` of them."""
    step = next((s for s in _STEPS if span / s <= most), 3600 * math.ceil(span / most / 3600))
    return np.arange(0, span + step * 1e-6, step)


def _number(value: float, digits: int = 2) -> str:
    """Format with a sign and a real minus."""
    return f'{value:+.{digits}f}'.replace('-', '−') if round(value, digits) else f'{0:.{digits}f}'


def _pale(colour: Colour, strength: float) -> Colour:
    """`colour` mixed with white; strength 1 leaves it unchanged."""
    blue, green, red = (round(255 + strength * (c - 255)) for c in colour)
    return blue, green, red


def _summary(series: FaceSeries) -> str:
    counts = np.bincount(series.samples['emotion'], minlength=len(EMOTIONS))
    return f'{_number(series.samples["valence"].mean())}, mostly {EMOTIONS[int(np.argmax(counts))]}'
