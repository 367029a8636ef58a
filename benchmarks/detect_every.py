"""What detecting in every n-th frame only saves, and what it costs.

    python -m benchmarks.detect_every --json detect_every.json

On the built-in clip: overlap (IoU) of each face's box with that of detection in every frame, faces missed and spurious,
ids given (each visit of a person should get one), and milliseconds per frame, in turns so that a load from elsewhere
meets all alike.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.machine import machine
from fer_ros.atomic_files import write_file
from fer_ros.media.built_in_clip import BuiltInClip
from fer_ros.msfernet.cli import run
from fer_ros.perception.image_parts import overlap as iou
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings

EVERY = (1, 2, 3, 5)


def compare(rate: float) -> list[dict]:
    """A row for each of `EVERY`."""
    clip = BuiltInClip(rate=rate)
    pipelines = {every: FacePipeline(PipelineSettings(detect_every=every)) for every in EVERY}
    found: dict[int, dict[str, list]] = {every: {'times': [], 'overlaps': [], 'valence': [], 'ids': []}
                                         for every in EVERY}
    missed, made_up = dict.fromkeys(EVERY, 0), dict.fromkeys(EVERY, 0)
    try:
        for i in tqdm(range(len(clip)), desc='detect_every', unit='frame'):
            image, each = clip[i], []
            for every, pipeline in pipelines.items():
                start = time.perf_counter()
                faces = pipeline.process(image, i / rate).faces
                row = found[every]
                row['times'].append(time.perf_counter() - start)
                row['ids'] += [face.face_id for face in faces]
                if every == 1:
                    each = faces
                made_up[every] += max(0, len(faces) - len(each))
                for face in each:
                    nearest = max(faces, key=lambda other, box=face.box: iou(box, other.box), default=None)
                    overlap = iou(face.box, nearest.box) if nearest else 0.0
                    missed[every] += overlap == 0
                    if overlap:
                        row['overlaps'].append(overlap)
                        row['valence'].append(abs(face.valence - nearest.valence))
    finally:
        for pipeline in pipelines.values():
            pipeline.close()
    base = float(np.mean(found[1]['times']))
    return [{'detect_every': every, 'iou_mean': round(float(np.mean(row['overlaps'])), 4),
             'iou_p5': round(float(np.percentile(row['overlaps'], 5)), 4), 'missed': missed[every],
             'made_up': made_up[every], 'faces': len(found[1]['ids']), 'ids': len(set(row['ids'])),
             'valence_difference_mean': round(float(np.mean(row['valence'])), 4),
             'ms_per_frame': round(1e3 * float(np.mean(row['times'])), 2),
             'time_ratio': round(float(np.mean(row['times'])) / base, 3)} for every, row in found.items()]


def table(rows: list[dict]) -> str:
    """Markdown."""
    lines = ['| `detect_every` | IoU mean (5th percentile) | missed | spurious | ids | mean difference of valence '
             '| time per frame |',
             '| ---: | --- | ---: | ---: | ---: | ---: | ---: |']
    lines += [f'| {r["detect_every"]} | {r["iou_mean"]:.3f} ({r["iou_p5"]:.3f}) | {r["missed"]} of {r["faces"]} | '
              f'{r["made_up"]} | {r["ids"]} | {r["valence_difference_mean"]:.3f} | {100 * r["time_ratio"]:.0f} % |'
              for r in rows]
    return '\n'.join(lines)


def _detect_every(options: argparse.Namespace) -> None:
    rate = 10.0 if options.quick else options.rate
    result = {'machine': machine(), 'rate': rate, 'rows': compare(rate)}
    print(table(result['rows']))
    if options.json:
        write_file(options.json, (json.dumps(result, indent=1) + '\n').encode())


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.detect_every', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rate', type=float, default=30.0, help='frames per second of the clip (default: 30)')
    parser.add_argument('--quick', action='store_true', help='10 frames per second')
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args(arguments)
    return run('detect_every', lambda: _detect_every(options))


if __name__ == '__main__':
    sys.exit(main())
