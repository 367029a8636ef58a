"""Time of each stage of a frame, and speed of the network in each runtime.

    python -m benchmarks.stages --json stages.json

Stages: decode (bytes from DDS to a BGR array), detect, track, crop, recognise, smooth, convert (result to the bytes of
    ``~/faces``), for 1, 4 and 8 faces in three sizes. The network: torch module by module, torch frozen, ONNX Runtime
    alone, and fer_ros, for 1 and 2 threads and batches of 1, 4 and 8. Measurements that are compared are interleaved,
    so that other load affects all alike.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.frames import frames
from benchmarks.machine import machine
from fer_ros.atomic_files import write_file
from fer_ros.msfernet.cli import run

SIZES = ((640, 480), (1280, 720), (1920, 1080))
FACES = (1, 4, 8)
THREADS = (1, 2)
BATCHES = (1, 4, 8)
STAGES = ('decode', 'detect', 'track', 'crop', 'recognise', 'smooth', 'convert')
WARM_UP = 5
"""Runs that are not counted."""


def summary(seconds: list[float]) -> dict[str, float]:
    """Median and p95 in milliseconds."""
    median, p95 = np.percentile(seconds, (50, 95)) * 1e3
    return {'p50_ms': round(float(median), 3), 'p95_ms': round(float(p95), 3)}


def stages(repeats: int, threads: int, progress: tqdm) -> list[dict]:
    """A row for each size and number of faces."""
    from rclpy.serialization import deserialize_message, serialize_message
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header, String

    from fer_ros.nodes.image_conversion import to_bgr, to_message
    from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
    from fer_ros.results.faces import FacesFrame, encode

    rows = []
    with FacePipeline(PipelineSettings(threads=threads)) as pipeline:
        for width, height in SIZES:
            for count in FACES:
                messages = [serialize_message(to_message(picture, Header(frame_id='camera')))
                            for picture in frames(width, height, count, 8)]
                times: dict[str, list[float]] = {name: [] for name in (*STAGES, 'all')}
                found = []
                pipeline.reset()
                for i in range(WARM_UP + repeats):
                    start = time.perf_counter()
                    image = to_bgr(deserialize_message(messages[i % len(messages)], Image))
                    decoded = time.perf_counter()
                    result = pipeline.process(image, i / 30)
                    processed = time.perf_counter()
                    frame = FacesFrame(i, 'camera', width, height, result.faces, result.primary)
                    serialize_message(String(data=encode(frame)))
                    end = time.perf_counter()
                    if i >= WARM_UP:
                        found.append(len(result.faces))
                        for name, value in {'decode': decoded - start, **result.timings,
                                            'convert': end - processed, 'all': end - start}.items():
                            times[name].append(value)
                rows.append({'width': width, 'height': height, 'faces': count, 'faces_found': float(np.median(found)),
                             'stages': {name: summary(values) for name, values in times.items()}})
                progress.update()
    return rows


def _ways(threads: int) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Ways to run the network by name; each takes uint8 (N, 48, 48)."""
    import torch

    from fer_ros.msfernet.export import onnx_bytes
    from fer_ros.msfernet.preprocessing import network_input
    from fer_ros.msfernet.weights import load_model
    from fer_ros.package_files import shared_file
    from fer_ros.perception.recognition import SHIPPED_MODEL, EmotionRecognizer

    path = shared_file(SHIPPED_MODEL)
    model = load_model(path)
    ready: dict[int, torch.Tensor] = {}

    def inputs(faces: np.ndarray) -> torch.Tensor:
        if len(faces) not in ready:
            ready[len(faces)] = network_input(faces)
        return ready[len(faces)]

    def eager(faces: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model.network(inputs(faces)).logits.numpy()

    ways = {'torch, module by module': eager,
            'torch, frozen': EmotionRecognizer(path, 'cpu', threads, 'torch').probabilities}
    if find_spec('onnx') and find_spec('onnxruntime'):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(onnx_bytes(load_model(path)), options,
                                               providers=['CPUExecutionProvider'])
        ways['ONNX Runtime alone'] = lambda faces: session.run(['logits'], {'faces': inputs(faces).numpy()})[0]
    shipped = EmotionRecognizer(path, 'cpu', threads)
    ways[f'fer_ros ({shipped.runtime})'] = shipped.probabilities
    return ways


def recogniser(repeats: int, progress: tqdm) -> list[dict]:
    """A row for each way, number of threads and batch."""
    rows = []
    for threads in THREADS:
        ways = _ways(threads)
        for batch in BATCHES:
            faces = np.random.default_rng(0).integers(0, 256, (batch, 48, 48), np.uint8)
            times: dict[str, list[float]] = {name: [] for name in ways}
            for i in range(WARM_UP + repeats):
                for name, way in ways.items():
                    start = time.perf_counter()
                    way(faces)
                    if i >= WARM_UP:
                        times[name].append(time.perf_counter() - start)
            rows += [{'way': name, 'threads': threads, 'batch': batch, **summary(values)}
                     for name, values in times.items()]
            progress.update()
    return rows


def start_up() -> dict[str, float]:
    """Seconds until a recogniser is ready, by runtime, once its libraries are imported."""
    from fer_ros.perception.recognition import EmotionRecognizer
    result = {}
    for runtime in ('torch', 'auto'):
        EmotionRecognizer(device='cpu', runtime=runtime)  # imports
        start = time.perf_counter()
        recognizer = EmotionRecognizer(device='cpu', runtime=runtime)
        result[recognizer.runtime] = round(time.perf_counter() - start, 3)
    return result


def floor() -> dict[str, float]:
    """The least time for a face's multiplications, at the speed that one thread reaches in a large matrix product."""
    import torch

    from fer_ros.msfernet.network import count_macs
    from fer_ros.msfernet.weights import load_model
    from fer_ros.package_files import shared_file
    from fer_ros.perception.recognition import SHIPPED_MODEL

    side, threads = 1024, torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        matrix, times = torch.rand(side, side), []
        for _ in range(15):
            start = time.perf_counter()
            matrix @ matrix
            times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    gflops = 2e-9 * side**3 / min(times)
    gmac = count_macs(load_model(shared_file(SHIPPED_MODEL)).network) * 1e-9
    return {'gflops': round(gflops, 1), 'gmac': round(gmac, 4), 'floor_ms': round(2e3 * gmac / gflops, 3)}


def over_onnxruntime(rows: list[dict], threads: int = 1, batch: int = 1) -> float | None:
    """Median time of what fer_ros runs in multiples of ONNX Runtime alone; None where that is not installed."""
    times = {row['way'].partition(' (')[0]: row['p50_ms'] for row in rows
             if (row['threads'], row['batch']) == (threads, batch)}
    return times['fer_ros'] / times['ONNX Runtime alone'] if 'ONNX Runtime alone' in times else None


def stage_table(rows: list[dict]) -> str:
    """Markdown: median (p95) milliseconds."""
    names = (*STAGES, 'all')
    lines = ['| image, faces | ' + ' | '.join(names) + ' |', '| --- |' + ' ---: |' * len(names)]
    for row in rows:
        cells = [f'{value["p50_ms"]:.2f} ({value["p95_ms"]:.2f})' for value in (row['stages'][name] for name in names)]
        lines.append(f'| {row["width"]}×{row["height"]}, {row["faces"]} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def recogniser_table(rows: list[dict]) -> str:
    """Markdown: median (p95) milliseconds."""
    cases = sorted({(row['threads'], row['batch']) for row in rows})
    lines = ['| | ' + ' | '.join(f'{threads} thread{"s" * (threads > 1)}, batch {batch}' for threads, batch in cases)
             + ' |', '| --- |' + ' ---: |' * len(cases)]
    for way in dict.fromkeys(row['way'] for row in rows):
        found = {(row['threads'], row['batch']): row for row in rows if row['way'] == way}
        lines.append(f'| {way} | ' + ' | '.join(f'{found[case]["p50_ms"]:.2f} ({found[case]["p95_ms"]:.2f})'
                                                for case in cases) + ' |')
    return '\n'.join(lines)


def _stages(options: argparse.Namespace) -> None:
    repeats = 10 if options.quick else options.repeat
    with tqdm(total=len(SIZES) * len(FACES) + len(THREADS) * len(BATCHES), desc='stages', unit='case') as progress:
        result = {'machine': machine(), 'threads': options.threads,
                  'stages': stages(repeats, options.threads, progress), 'recogniser': recogniser(repeats, progress)}
    result['over_onnxruntime'] = over_onnxruntime(result['recogniser'])
    result['start_up_s'] = start_up()
    result['floor'] = floor()
    print(stage_table(result['stages']), recogniser_table(result['recogniser']), sep='\n\n')
    if options.json:
        write_file(options.json, (json.dumps(result, indent=1) + '\n').encode())


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    from fer_ros.parameters import FER_NODE
    threads = next(parameter.default for parameter in FER_NODE if parameter.name == 'threads')
    parser = argparse.ArgumentParser(prog='python -m benchmarks.stages', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--repeat', type=int, default=200, help='runs of each case (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=threads, help='of the network in the stages (default: '
                        "%(default)s, the node's)")
    parser.add_argument('--quick', action='store_true', help='10 runs of each case')
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args(arguments)
    return run('stages', lambda: _stages(options))


if __name__ == '__main__':
    sys.exit(main())
