"""Speed of process_video and of the pipeline alone on the same file, in frames/s.

    python -m benchmarks.process_video --json process_video.json

The file is the built-in clip (640×480, 30 frames/s, 16 s, up to two faces). The pipeline alone reads it with OpenCV
and discards the results. Loading the models is not included, except in the rows that time the whole program. Frames per
second of processor time do not depend on the load of the machine.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
from tqdm import tqdm

from fer_ros.media.built_in_clip import BuiltInClip
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
from fer_ros.recordings.inputs import find_inputs
from fer_ros.recordings.processing import Settings, process

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--repeat', type=int, default=3,
                        help='number of repetitions, of which the best counts (default: %(default)s)')
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        videos = [_video(Path(folder) / f'{i}.mp4') for i in range(2)]
        results = {name: {'frames_per_s': 0.0, 'frames_per_processor_s': 0.0}
                   for name in ('pipeline alone', 'process_video', 'process_video --annotated')}
        with FacePipeline(PipelineSettings()) as pipeline:
            (item, _) = find_inputs(list(map(str, videos)))
            for _ in tqdm(range(options.repeat)):
                for name, best in results.items():
                    processor = time.process_time()
                    if name == 'pipeline alone':
                        frames, seconds = _bare(videos[0], pipeline)
                    else:
                        summary = process(item, Path(folder) / 'out', Settings(annotated='--annotated' in name),
                                          pipeline)
                        frames, seconds = summary['frames'], summary['processing_s']
                    processor = time.process_time() - processor
                    best['frames_per_s'] = max(best['frames_per_s'], frames / seconds)
                    best['frames_per_processor_s'] = max(best['frames_per_processor_s'], frames / processor)
        for jobs in (1, 2):
            start = time.perf_counter()
            subprocess.run([sys.executable, '-m', 'fer_ros.tools.process_video', *videos, '--jobs', str(jobs),
                            '--output', Path(folder) / f'jobs{jobs}'], cwd=ROOT, check=True,
                           stdout=subprocess.DEVNULL)
            results[f'two files, --jobs {jobs}, including start-up'] = {
                'frames_per_s': 2 * frames / (time.perf_counter() - start)}
    print(f'{os.cpu_count()} processors\n\n| | frames/s | frames per second of processor time |\n| --- | --- | --- |')
    for name, best in results.items():
        print(f'| {name} | {best["frames_per_s"]:.0f} | {best.get("frames_per_processor_s", math.nan):.0f} |')
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + '\n')


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
