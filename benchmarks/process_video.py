"""Speed of process_video, of the pipeline alone on the same file, and of several processes, in frames/s.

    python -m benchmarks.process_video --json process_video.json
    python -m benchmarks.process_video --repeat 1 --minutes 0.5 --files 4 --hd 0.2  # a look whether it works
    python -m benchmarks.process_video --memory 60                              # memory with an hour-long recording

The file is the built-in clip (640×480, 30 frames/s, 16 s, up to two faces). The pipeline alone reads it with OpenCV
and discards the results. Loading the models is not included, except in the rows that time the whole program. Frames per
second of processor time do not depend on the load of the machine.

The second table is of one long recording (the clip again and again, H.264 with a key frame every 5 s), one of a quarter
of its length, many short ones (2 s), and one of 1920×1080 at 60 frames/s, with one worker (without Dask) and with two.
Their start is not counted: time begins as soon as each worker has told of its first frames. The memory is that of the
largest worker at its peak.

The limit of the machine is what two programs with one worker each, started together, are faster than one: what two
workers of a cluster could reach if it cost nothing. The cost of the cluster is the time in which a worker takes an
order and returns the finished part of a minute, without the analysis. The share of decoding is that of processor time:
what a decoder in hardware could save at most.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from fractions import Fraction
from pathlib import Path
from statistics import median

import av
import cv2
import numpy as np
import psutil
from tqdm import tqdm

from fer_ros.media.built_in_clip import BuiltInClip
from fer_ros.media.video_file import VideoFile
from fer_ros.media.video_writer import VideoWriter
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
from fer_ros.perception.seen_frame import SeenFace, SeenFrame
from fer_ros.recordings.cluster import Cluster
from fer_ros.recordings.inputs import find_inputs
from fer_ros.recordings.part_results import FrameRecord, PartResult, from_bytes, to_bytes
from fer_ros.recordings.processing import process
from fer_ros.recordings.runs import Workers, process_all
from fer_ros.recordings.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
DECODED = 12.0
"""Seconds of a recording of which the share of decoding is measured."""


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--repeat', type=int, default=3,
                        help='number of repetitions, of which the best counts (default: %(default)s)')
    parser.add_argument('--minutes', type=float, default=8.0,
                        help='length of the long recording (default: %(default)s)')
    parser.add_argument('--files', type=int, default=20, help='number of short recordings (default: %(default)s)')
    parser.add_argument('--hd', type=float, default=2.0, metavar='MINUTES',
                        help='length of the recording of 1920×1080 (default: %(default)s)')
    parser.add_argument('--memory', type=float, metavar='MINUTES',
                        help='measure instead memory with a recording of so many minutes at 10 frames/s')
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.memory:
            video = _long(folder / 'long.mp4', 60 * options.memory, 10.0)
            speed, memory = _speed([video], folder / 'out', 2)
            print(f'{options.memory:g} min at 10 frames/s, 2 workers: {speed:.1f} frames/s, {memory / 1e6:.0f} MB')
            return
        results = {'one process': _one_process(folder, options.repeat),
                   'several processes': _several(folder, options),
                   'limit of the machine': _limit(folder, folder / 'quarter.mp4', options.repeat),
                   'part through Dask ms': _part_ms(),
                   'decoding': {size: _decoding(folder / name) for name, size in
                                (('quarter.mp4', '640×480'), ('hd.mp4', '1920×1080'))}}
    print(f'{os.cpu_count()} processors\n\n| | frames/s | frames per second of processor time |\n| --- | --- | --- |')
    for name, best in results['one process'].items():
        print(f'| {name} | {best["frames_per_s"]:.0f} | {best.get("frames_per_processor_s", math.nan):.0f} |')
    print('\n| | frames/s, 1 worker | 2 workers | ratio | memory of a worker |\n| --- | --- | --- | --- | --- |')
    for name, row in results['several processes'].items():
        print(f'| {name} | {row["one"]:.1f} | {row["two"]:.1f} | {row["ratio"]:.2f} | {row["memory_mb"]:.0f} MB |')
    print(f'\nlimit of the machine: {results["limit of the machine"]:.2f}\n'
          f'part through Dask: {results["part through Dask ms"]:.0f} ms')
    for size, share in results['decoding'].items():
        print(f'decoding at {size}: {100 * share:.0f} % of the processor time')
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + '\n')


def _one_process(folder: Path, repeat: int) -> dict:
    videos = [_video(folder / f'{i}.mp4') for i in range(2)]
    results = {name: {'frames_per_s': 0.0, 'frames_per_processor_s': 0.0}
               for name in ('pipeline alone', 'process_video', 'process_video in parts of 4 s',
                            'process_video --annotated')}
    with FacePipeline(PipelineSettings()) as pipeline:
        (item, _) = find_inputs(list(map(str, videos)))
        for _ in tqdm(range(repeat)):
            for name, best in results.items():
                processor = time.process_time()
                if name == 'pipeline alone':
                    frames, seconds = _bare(videos[0], pipeline)
                else:
                    settings = Settings(annotated='--annotated' in name, part_s=4.0 if 'parts' in name else 60.0)
                    summary = process(item, folder / 'out', settings, pipeline)
                    frames, seconds = summary['frames'], summary['processing_s']
                processor = time.process_time() - processor
                best['frames_per_s'] = max(best['frames_per_s'], frames / seconds)
                best['frames_per_processor_s'] = max(best['frames_per_processor_s'], frames / processor)
    for jobs in (1, 2):
        start = time.perf_counter()
        subprocess.run([sys.executable, '-m', 'fer_ros.tools.process_video', *videos, '--jobs', str(jobs),
                        '--output', folder / f'jobs{jobs}'], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        results[f'two files, --jobs {jobs}, including start-up'] = {
            'frames_per_s': 2 * frames / (time.perf_counter() - start)}
    return results


def _several(folder: Path, options: argparse.Namespace) -> dict:
    """Frames/s of one long recording, a quarter of it, many short ones and one of 1080p60, with one and two workers."""
    minutes, files, hd_minutes = options.minutes, options.files, options.hd
    inputs = {f'one recording of {minutes:g} min': [_long(folder / 'long.mp4', 60 * minutes)],
              f'one recording of {minutes / 4:g} min': [_long(folder / 'quarter.mp4', 15 * minutes)],
              f'{files} recordings of 2 s': [_long(folder / f'short{i}.mp4', 2.0) for i in range(files)],
              f'one recording of {hd_minutes:g} min, 1920×1080 at 60 frames/s': [
                  _long(folder / 'hd.mp4', 60 * hd_minutes, 60.0, (1920, 1080))]}
    results = {}
    for name, paths in inputs.items():
        row, memory = {'one': 0.0, 'two': 0.0}, 0.0
        for _ in range(options.repeat):
            for jobs, column in ((1, 'one'), (2, 'two')):
                speed, used = _speed(paths, folder / f'{paths[0].stem}{jobs}', jobs)
                row[column], memory = max(row[column], speed), max(memory, used)
        results[name] = {**row, 'ratio': row['two'] / row['one'], 'memory_mb': memory / 1e6}
    return results


def _speed(paths: list[Path], out: Path, jobs: int) -> tuple[float, float]:
    """Frames/s from the first results of all workers on, and the peak of the largest worker in bytes."""
    first: list[float] = []
    counts: dict[str, int] = {}
    at_first = 0

    def progress(item, frames: int, share: float) -> None:
        nonlocal at_first
        counts[item.name] = max(frames, counts.get(item.name, 0))
        if not first and sum(map(bool, counts.values())) >= min(jobs, len(paths)):
            first.append(time.perf_counter())
            at_first = sum(counts.values())

    def ended(outcome) -> None:
        assert outcome.summary is not None, outcome.error
        progress(outcome.item, outcome.summary['frames'], 1.0)
    with _Memory() as memory:
        process_all(find_inputs(list(map(str, paths))), out, Settings(), Workers(jobs), False, progress, ended,
                    lambda: False)
        end = time.perf_counter()
    return (sum(counts.values()) - at_first) / (end - first[0]), memory.peak


class _Memory:
    """The most memory that any child process has had, in bytes."""

    peak = 0.0

    def __enter__(self) -> '_Memory':
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    self.peak = max(self.peak, child.memory_info().rss)

    def __exit__(self, *exception) -> None:
        self._over.set()
        self._thread.join()


def _limit(folder: Path, video: Path, repeat: int) -> float:
    """How many times as fast as one program with one worker two of them are together, each on `video`."""
    alone = together = 0.0
    with ThreadPoolExecutor() as threads:
        for _ in range(repeat):
            alone = max(alone, _speed([video], folder / 'alone', 1)[0])
            together = max(together, sum(threads.map(lambda i: _speed([video], folder / f'together{i}', 1)[0],
                                                     range(2))))
    return together / alone


def _part_ms() -> float:
    """Milliseconds (median) in which a worker takes an order and returns a part of a minute, and it is read here."""
    cluster, times = Cluster(1), []
    try:
        for i in range(21):
            start = time.perf_counter()
            from_bytes(cluster.submit(_part, i, f'part{i}', (), 0).result())
            times.append(time.perf_counter() - start)
    finally:
        cluster.close()
    return 1000 * median(times[1:])


def _decoding(video: Path) -> float:
    """Fraction of the processor time of process_video that decoding takes, in the first seconds of a recording."""
    with FacePipeline(PipelineSettings()) as pipeline:
        start = time.process_time()
        summary = process(find_inputs([str(video)])[0], video.parent / 'decoding', Settings(seconds=DECODED), pipeline)
        whole = time.process_time() - start
    with closing(VideoFile(video)) as file:
        start = time.process_time()
        for _ in range(summary['frames']):
            file.advance()
        return (time.process_time() - start) / whole


def _part(number: int) -> bytes:
    face = SeenFace((100.0, 100.0, 120.0, 120.0), 0.9, 0.0, 0.8, 0)
    seen = SeenFrame(640, 480, (face,), np.full((1, 7), 1 / 7, np.float32))
    return to_bytes(PartResult(number, (FrameRecord(0, 0, 0, seen=seen),) * 1800))


def _long(path: Path, seconds: float, rate: float = 30.0, size: tuple[int, int] = (640, 480)) -> Path:
    """The clip again and again. It is encoded once; its packets are copied."""
    clip, once = BuiltInClip(rate=rate), path.with_suffix('.once.mp4')
    writer = VideoWriter(once, clip.rate)
    for i in range(min(len(clip), round(seconds * rate))):
        writer.add(cv2.resize(clip.frame(i), size), i / clip.rate)
    writer.close()
    with av.open(str(path), 'w') as target:
        stream, left = None, round(seconds * rate)
        for start in range(0, left, len(clip)):
            with av.open(str(once)) as source:
                video = source.streams.video[0]
                stream = stream or target.add_stream_from_template(video)
                shift = round(Fraction(start) / Fraction(rate) / video.time_base)
                for packet in source.demux(video):
                    if packet.dts is not None and left > 0:
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                        target.mux(packet)
                        left -= 1
    once.unlink()
    return path


def _video(path: Path) -> Path:
    clip = BuiltInClip()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), clip.rate, clip.frame(0).shape[1::-1])
    for i in range(len(clip)):
        writer.write(clip.frame(i))
    writer.release()
    return path


def _bare(video: Path, pipeline: FacePipeline) -> tuple[int, float]:
    pipeline.reset()
    capture, frames, start = cv2.VideoCapture(str(video)), 0, time.perf_counter()
    while (image := capture.read()[1]) is not None:
        pipeline.process(image, frames / 30)
        frames += 1
    return frames, time.perf_counter() - start


if __name__ == '__main__':
    main()
