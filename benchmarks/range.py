"""How far, how tilted, how dark and how blurred a face may be for each detector to find it, and what it costs.

    python -m benchmarks.range --json runs/range.json --docs docs/perception.md

Two portraits, as they are and mirrored, are put over photographs that scikit-image brings along. Each scene is shown
for a second at 30 frames/s. A face counts as found when the last frame has it; the time until it is found is that of a
face that appears after a second without anybody; a track over none of the faces that lives longer than 0.3 s is extra.
Detectors take turns with every scene, so that a load from elsewhere meets all alike.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks.machine import described, machine
from fer_ros.atomic_files import write_file
from fer_ros.media.built_in_clip import PORTRAITS, portraits
from fer_ros.msfernet.cli import run
from fer_ros.msfernet.model_card import fill
from fer_ros.perception.image_parts import Box
from fer_ros.perception.search import FaceFinder, create_finder
from fer_ros.perception.settings import PipelineSettings
from fer_ros.perception.tracking import FaceTracker

RATE = 30
SIZES = ((640, 480), (1280, 720), (1920, 1080))
WIDTHS = (2, 3, 4, 5, 6, 7, 9, 12, 16, 25, 40)
"""Widths of faces, in per cent of the image's longer side."""
COSTS = ((16, 0), (16, 1), (4, 1), (4, 4))
"""Widths, and numbers of faces, of the scenes that are timed."""
FAR, CLOSE = 6, 16
"""Those of the scenes that are tilted, dark or blurred."""
FACE_WIDTH = 0.17
"""Metres that a bounding box covers: 7 % of the image's width at 2 m and 65°."""
FIELD_OF_VIEW = 65.0
"""Degrees, horizontal: that of a usual camera."""
EXTRA = 0.3
"""Seconds."""
PHOTOGRAPHS = ('coffee', 'rocket', 'brick', 'grass', 'gravel', 'hubble_deep_field', 'stereo_motorcycle', 'text')


@dataclass(frozen=True)
class Condition:
    """What is done to a scene, and its name in the table."""

    name: str
    tilt: float = 0.0
    """Degrees."""
    light: float = 1.0
    blur: int = 0
    """Pixels of horizontal motion."""


CONDITIONS = (Condition('upright'), *(Condition(f'tilted {t}°', tilt=t) for t in (15, 30, 45)),
              *(Condition(f'light × {g:g}', light=g) for g in (0.25, 0.1, 0.05)),
              *(Condition(f'motion blur {b} px', blur=b) for b in (5, 9)))


def metres(share: float) -> float:
    """Distance at which a face covers `share` per cent of the width of the image."""
    return FACE_WIDTH / (share / 100 * 2 * math.tan(math.radians(FIELD_OF_VIEW / 2)))


@cache
def photographs() -> tuple[np.ndarray, ...]:
    """Pictures without people, uint8 BGR."""
    from skimage import color, data
    found = []
    for name in PHOTOGRAPHS:
        picture = getattr(data, name)()
        picture = picture[0] if isinstance(picture, tuple) else picture
        found.append(cv2.cvtColor(color.gray2rgb(picture) if picture.ndim == 2 else picture, cv2.COLOR_RGB2BGR))
    return tuple(found)


def scene(photograph: np.ndarray, width: int, height: int, share: float, condition: Condition,
          random: np.random.Generator, most: int = 4) -> tuple[np.ndarray, np.ndarray, list[Box]]:
    """An image without and with at `most` so many faces of `share` per cent of its width, and their bounding boxes."""
    scale = max(width / photograph.shape[1], height / photograph.shape[0])
    empty = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else
                       cv2.INTER_LINEAR)[:height, :width]
    image, boxes = empty.copy(), []
    side = share / 100 * width
    room = 2.4 * side  # a head with its shoulders, also when it is tilted
    columns, rows = max(1, int(width / room)), max(1, int(height / room))
    places = [(c, r) for r in range(rows) for c in range(columns)]
    chosen = random.permutation(len(places))[:most]
    for index, place in enumerate(chosen):
        column, row = places[place]
        centre = ((column + 0.5) * width / columns, (row + 0.5) * height / rows)
        _paste(image, ('astronaut', 'hopper')[index % 2], centre, side, condition.tilt * (-1) ** index, index // 2 == 1)
        boxes.append((centre[0] - side / 2, centre[1] - side / 2, side, side))
    return _taken(empty, condition), _taken(image, condition), boxes


def _paste(image: np.ndarray, name: str, centre: tuple[float, float], side: float, tilt: float, mirrored: bool) -> None:
    portrait = PORTRAITS[name]
    x, y, width, height = portrait.shown
    card = portraits()[name][y:y + height, x:x + width]
    factor = side / portrait.face[2]
    card = cv2.resize(card, None, fx=factor, fy=factor,
                      interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    middle = (np.array(portrait.face[:2]) + np.array(portrait.face[2:]) / 2 - (x, y)) * factor
    if mirrored:
        card = card[:, ::-1]
        middle[0] = card.shape[1] - middle[0]
    turn = math.radians(tilt)
    matrix = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    cv2.warpAffine(card, np.column_stack([matrix, np.array(centre) - matrix @ middle]), image.shape[1::-1], dst=image,
                   flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT)


def _taken(image: np.ndarray, condition: Condition) -> np.ndarray:
    if condition.blur:
        image = cv2.blur(image, (condition.blur, 1))
    return cv2.convertScaleAbs(image, alpha=condition.light) if condition.light != 1 else image


@dataclass
class Score:
    """What one detector made of the scenes of one kind."""

    faces: int = 0
    found: int = 0
    extra: int = 0
    scenes: int = 0
    seconds: float = 0.0
    """Sum of the times until each face was found, of those that were."""
    milliseconds: list[float] = field(default_factory=list)
    """Mean per frame of each scene's last second."""


def show(finder: FaceFinder, empty: np.ndarray, image: np.ndarray, boxes: list[Box], score: Score) -> None:
    """A second without and one with people, at `RATE`."""
    finder.reset()
    tracker = FaceTracker()
    first: dict[int, int] = {}
    lives: dict[str, int] = {}
    times = []
    for index in range(2 * RATE):
        picture, stamp = (empty, image)[index >= RATE], index / RATE
        started = time.perf_counter()
        detections = finder.find(picture, stamp, tracker.expected(stamp))
        times.append(time.perf_counter() - started)
        there = set()
        for track in tracker.update(detections, stamp):
            owner = next((i for i, box in enumerate(boxes) if _on(track.box, box)), None) if index >= RATE else None
            if owner is None:
                lives[track.face_id] = lives.get(track.face_id, 0) + 1
            else:
                there.add(owner)
                first.setdefault(owner, index - RATE + 1)
    score.scenes += 1
    score.faces += len(boxes)
    score.found += len(there)
    score.extra += sum(frames > EXTRA * RATE for frames in lives.values())
    score.seconds += sum(first[owner] / RATE for owner in there)
    score.milliseconds.append(1000 * float(np.mean(times[RATE:])))


def _on(found: Box, true: Box) -> bool:
    apart = math.hypot(found[0] + found[2] / 2 - true[0] - true[2] / 2, found[1] + found[3] / 2 - true[1] - true[3] / 2)
    return apart < true[2] / 2 and 0.5 < found[2] / true[2] < 2


def cases(quick: bool) -> Iterator[tuple[str, int, int, float, Condition, int]]:
    """Name of the table, image size, width of the faces, condition and maximum number of faces."""
    for width, height in SIZES[:1] if quick else SIZES:
        for share in WIDTHS[1::3] if quick else WIDTHS:
            yield 'widths', width, height, share, CONDITIONS[0], 4
        for share, most in COSTS:
            yield 'cost', width, height, share, CONDITIONS[0], most
    for condition in CONDITIONS[:2] if quick else CONDITIONS:
        for share in (FAR, CLOSE):
            yield 'conditions', *SIZES[0], share, condition, 4


def measure(detectors: dict[str, PipelineSettings], quick: bool) -> list[dict]:
    """A row for each detector and kind of scene."""
    finders = {name: create_finder(settings) for name, settings in detectors.items()}
    rows = []
    every = list(cases(quick))
    pictures = photographs()[:2] if quick else photographs()
    try:
        with tqdm(total=len(every) * len(pictures), unit='scene') as bar:
            for kind, width, height, share, condition, most in every:
                scores = {name: Score() for name in finders}
                for number, photograph in enumerate(pictures):
                    one = scene(photograph, width, height, share, condition, np.random.default_rng(number), most)
                    for name, finder in finders.items():
                        show(finder, *one, scores[name])
                    bar.update()
                rows += [{'kind': kind, 'detector': name, 'width': width, 'height': height, 'share': share,
                          'condition': condition.name, 'most': most, 'faces': score.faces, 'found': score.found,
                          'extra': score.extra, 'scenes': score.scenes, 'seconds_until_found': score.seconds,
                          'ms_per_frame': float(np.median(score.milliseconds))} for name, score in scores.items()]
    finally:
        for finder in finders.values():
            finder.close()
    return rows


def _per_cent(row: dict) -> str:
    return f'{100 * row["found"] / row["faces"]:.0f}'


def tables(rows: list[dict]) -> str:
    """Markdown."""
    names = list(dict.fromkeys(row['detector'] for row in rows))
    shares = sorted({row['share'] for row in rows if row['kind'] == 'widths'})
    lines = ['Faces found, in per cent of those there, by their width in per cent of the width of the image:', '',
             f'| image, detector | {" | ".join(f"{share:g} %" for share in shares)} | extra per 100 s | '
             'found after, at 4 % |',
             f'| --- | {"---: | " * len(shares)}---: | ---: |',
             f'| *distance at {FIELD_OF_VIEW:g}°* | {" | ".join(f"{metres(share):.1f} m" for share in shares)} | | |']
    sizes = list(dict.fromkeys((row['width'], row['height']) for row in rows))
    for width, height in sizes:
        for name in names:
            own = {row['share']: row for row in rows if row['kind'] == 'widths' and row['detector'] == name
                   and row['width'] == width}
            extra = sum(row['extra'] for row in own.values()) / sum(row['scenes'] for row in own.values()) / 2
            small = own.get(4, {'found': 0})
            after = f'{small["seconds_until_found"] / small["found"]:.2f} s' if small['found'] else '–'
            lines.append(f'| {width}×{height}, {name} | {" | ".join(_per_cent(own[share]) for share in shares)} | '
                         f'{100 * extra:.1f} | {after} |')
    lines += ['', 'Milliseconds per frame, mean over a second, and in brackets relative to the short range detector '
              'with one near face:', '', '| image, detector | nobody | one face of 16 % | one of 4 % | four of 4 % |',
              '| --- | ---: | ---: | ---: | ---: |']
    for width, height in sizes:
        cost = {(row['detector'], row['share'], row['most']): row['ms_per_frame'] for row in rows
                if row['kind'] == 'cost' and row['width'] == width}
        for name in names:
            own_cost = [cost[(name, *case)] for case in COSTS]
            cells = (f'{ms:.1f} ({ms / cost["short", 16, 1]:.1f})' for ms in own_cost)
            lines.append(f'| {width}×{height}, {name} | {" | ".join(cells)} |')
    conditions = list(dict.fromkeys(row['condition'] for row in rows if row['kind'] == 'conditions'))
    lines += ['', f'640×480, faces of {FAR} % and of {CLOSE} % of the width:', '',
              f'| detector | {" | ".join(conditions)} |', f'| --- | {"---: | " * len(conditions)}'.rstrip()]
    for name in names:
        cells = []
        for condition in conditions:
            far, near = (next(row for row in rows if row['kind'] == 'conditions' and row['detector'] == name
                              and row['condition'] == condition and row['share'] == share) for share in (FAR, CLOSE))
            cells.append(f'{_per_cent(far)}, {_per_cent(near)}')
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def draw(rows: list[dict], path: Path) -> None:
    """Recall by width and distance, of the smallest image size."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(8, 4), layout='constrained')
    axis = figure.subplots()
    width = min(row['width'] for row in rows)
    for name, marker in zip(dict.fromkeys(row['detector'] for row in rows), 'os^Dv', strict=False):
        own = [row for row in rows if row['kind'] == 'widths' and row['detector'] == name and row['width'] == width]
        axis.plot([row['share'] for row in own], [100 * row['found'] / row['faces'] for row in own], marker=marker,
                  label=name, linewidth=2 if name == 'search' else 1)
    ticks = [2, 3, 4, 6, 9, 12, 16, 25, 40]
    axis.set(xscale='log', xlabel='width of the face, % of the width of the image', ylabel='found, %', ylim=(-3, 103))
    axis.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    axis.minorticks_off()
    above = axis.secondary_xaxis('top')
    above.set_xticks(ticks, [f'{metres(tick):.1f}' for tick in ticks])
    above.minorticks_off()
    above.set_xlabel(f'distance, m, with a horizontal field of view of {FIELD_OF_VIEW:g}°')
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=120)


def _range(options: argparse.Namespace) -> None:
    detectors = {name: PipelineSettings(detector=name) for name in ('search', 'short', 'full')}
    if options.yunet:
        detectors['yunet'] = PipelineSettings(detector='yunet', detector_model=options.yunet)
    result = {'machine': machine(), 'rows': measure(detectors, options.quick)}
    text = tables(result['rows'])
    print(text)
    if options.json:
        write_file(options.json, (json.dumps(result, indent=1) + '\n').encode())
    if options.docs:
        picture = options.docs.parent / 'images' / 'range.png'
        draw(result['rows'], picture)
        write_file(options.docs, fill(options.docs.read_text(encoding='utf-8'), 'range',
                                      f'{described(result["machine"])}\n\n{text}').encode())


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.range', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--yunet', type=Path, help='model file of YuNet, to measure it too')
    parser.add_argument('--quick', action='store_true', help='few scenes, to check the program itself')
    parser.add_argument('--json', type=Path, help='write the figures here')
    parser.add_argument('--docs', type=Path, help='fill the section range of this document, and draw images/range.png')
    options = parser.parse_args(arguments)
    return run('range', lambda: _range(options))


if __name__ == '__main__':
    sys.exit(main())
