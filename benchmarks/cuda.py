"""Inference on a GPU: batches of 1 to 256 faces in single and half precision, and whether labels agree.

    python -m benchmarks.cuda --data DIR --json cuda.json

Labels and probabilities are compared with single precision on the CPU, over faces of `--data` (as
``fer_ros.msfernet.evaluate`` takes it), or over the portraits of the built-in clip in many lights, sizes and places.
Without a CUDA device nothing is measured.
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
from fer_ros.msfernet.cli import run

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
NO_CUDA = 'No CUDA device was available: nothing was measured on a GPU.'


def portraits_varied(count: int) -> np.ndarray:
    """(count, 48, 48) uint8 crops of the two portraits, varied at random but the same each time."""
    from fer_ros.media.built_in_clip import PORTRAITS, portraits
    from fer_ros.perception.cropping import Square, crop_faces
    generator = np.random.default_rng(0)
    pictures, crops = portraits(), []
    for i in range(count):
        name = ('astronaut', 'hopper')[i % 2]
        x, y, width, height = PORTRAITS[name].face
        side = 1.15 * width * generator.uniform(0.8, 1.3)
        across, down = generator.normal(0, 0.06 * side, 2)
        square = Square(x + width / 2 + across, y + height / 2 - 0.07 * side + down, side, generator.normal(0, 0.15))
        light = generator.uniform(0.4, 1.5)
        crops.append(np.clip(crop_faces(pictures[name], [square])[0] * light, 0, 255).astype(np.uint8))
    return np.array(crops)


def measure(faces: np.ndarray, repeats: int) -> dict:
    """Times by precision and batch, and agreement with the CPU; without a GPU the reason instead."""
    import torch

    from fer_ros.msfernet.weights import load_model
    from fer_ros.package_files import shared_file
    from fer_ros.perception.recognition import SHIPPED_MODEL
    from fer_ros.perception.torch_runtime import PRECISIONS, TorchRuntime

    if not torch.cuda.is_available():
        return {'device': None, 'reason': NO_CUDA}
    path = shared_file(SHIPPED_MODEL)
    cpu = TorchRuntime(load_model(path), torch.device('cpu'))
    expected = np.concatenate([cpu.probabilities(part) for part in np.array_split(faces, max(1, len(faces) // 64))])
    rows = []
    for precision in tqdm(PRECISIONS, desc='cuda', unit='precision'):
        gpu = TorchRuntime(load_model(path), torch.device('cuda', 0), precision)
        read = np.concatenate([gpu.probabilities(part) for part in np.array_split(faces, max(1, len(faces) // 256))])
        row = {'precision': precision, 'labels_agree': float((read.argmax(1) == expected.argmax(1)).mean()),
               'largest_difference': float(np.abs(read - expected).max()), 'batches': []}
        for batch in BATCHES:
            part, times = np.resize(faces, (batch, 48, 48)), []
            for i in range(repeats + 10):
                start = time.perf_counter()
                gpu.probabilities(part)  # brings the result back, so the GPU is done
                if i >= 10:
                    times.append(time.perf_counter() - start)
            row['batches'].append({'batch': batch, 'p50_ms': round(1e3 * float(np.median(times)), 3),
                                   'p95_ms': round(1e3 * float(np.percentile(times, 95)), 3)})
        rows.append(row)
    return {'device': torch.cuda.get_device_name(0), 'faces': len(faces), 'rows': rows}


def table(result: dict) -> str:
    """Markdown."""
    if not result['device']:
        return result['reason']
    lines = [f'{result["device"]}, agreement over {result["faces"]:,} faces; median milliseconds per batch.', '',
             '| precision | labels as on the CPU | largest difference | ' + ' | '.join(map(str, BATCHES)) + ' |',
             '| --- | ---: | ---: |' + ' ---: |' * len(BATCHES)]
    for row in result['rows']:
        lines.append(f'| {row["precision"]} | {100 * row["labels_agree"]:.2f} % | {row["largest_difference"]:.1g} | '
                     + ' | '.join(f'{batch["p50_ms"]:.2f}' for batch in row['batches']) + ' |')
    return '\n'.join(lines)


def _cuda(options: argparse.Namespace) -> None:
    if options.data:
        from fer_ros.msfernet import data
        faces = data.load(options.data, 'validation').images
    else:
        faces = portraits_varied(512)
    result = {'machine': machine(), **measure(faces, 10 if options.quick else options.repeat)}
    print(table(result))
    if options.json:
        write_file(options.json, (json.dumps(result, indent=1) + '\n').encode())


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.cuda', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', help='labelled faces with a validation split')
    parser.add_argument('--repeat', type=int, default=100, help='runs of each batch (default: %(default)s)')
    parser.add_argument('--quick', action='store_true', help='10 runs of each batch')
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args(arguments)
    return run('cuda', lambda: _cuda(options))


if __name__ == '__main__':
    sys.exit(main())
