"""What it saves to look for faces less often while the image does not change, and what it costs.

    python -m benchmarks.still_image --docs docs/perception.md

Photographs with the noise of a camera, without people and with one still face: processor time of the pipeline per frame
with still_period 0 and with its default. Then a face comes in after two still seconds: the frames until it is found.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.range import CONDITIONS, photographs, scene
from fer_ros.atomic_files import write_file
from fer_ros.msfernet.cli import run
from fer_ros.msfernet.model_card import fill
from fer_ros.parameters import FER_NODE, defaults
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings

RATE = 30
SIZES = ((640, 480), (1920, 1080))
NOISE = 3.0
"""Standard deviation in grey levels."""
STILL = 2 * RATE
"""Frames before somebody comes in."""
PATIENCE = 30
"""Frames in which a newcomer must be found."""
NEWCOMERS = (4, 6, 12)
"""Widths of the faces, in per cent of the image's width."""


def noisy(image: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    """Some images that differ in their noise only."""
    return [np.clip(image + random.normal(0, NOISE, image.shape), 0, 255).astype(np.uint8) for _ in range(5)]


def costs(pipelines: dict[float, FacePipeline], images: list[np.ndarray]) -> dict[float, float]:
    """Milliseconds of processor time per frame, from the second second on."""
    spent = {}
    for period, pipeline in pipelines.items():
        pipeline.reset()
        for index in range(STILL):
            pipeline.process(images[index % len(images)], index / RATE)
        begun = time.process_time()
        for index in range(STILL, 2 * STILL):
            pipeline.process(images[index % len(images)], index / RATE)
        spent[period] = 1000 * (time.process_time() - begun) / STILL
    return spent


def frames_until_found(pipeline: FacePipeline, empty: list[np.ndarray], image: list[np.ndarray]) -> int | None:
    """After two still seconds; None if it is not within `PATIENCE`."""
    pipeline.reset()
    for index in range(STILL):
        pipeline.process(empty[index % len(empty)], index / RATE)
    for index in range(PATIENCE):
        if pipeline.process(image[index % len(image)], (STILL + index) / RATE).faces:
            return index + 1
    return None


def report() -> str:
    """Both tables, Markdown."""
    random = np.random.default_rng(0)
    period = defaults(FER_NODE)['still_period']
    pipelines = {value: FacePipeline(PipelineSettings(still_period=value)) for value in (0.0, period)}
    lines = [f'| image | every frame | still_period {period:g} s |', '| --- | ---: | ---: |']
    for (width, height), (name, faces) in tqdm([(size, case) for size in SIZES for case in (
            ('nobody', 0), ('one still face of 16 %', 1))], desc='costs'):
        spent = []
        for photograph in photographs()[:4]:
            empty, image, _ = scene(photograph, width, height, 16, CONDITIONS[0], random, 1)
            spent.append(costs(pipelines, noisy(image if faces else empty, random)))
        lines.append(f'| {width}×{height}, {name} | ' + ' | '.join(
            f'{np.mean([each[value] for each in spent]):.1f} ms' for value in pipelines) + ' |')
    lines += ['', f'| a face that comes in (640×480) | every frame | still_period {period:g} s |',
              '| --- | ---: | ---: |']
    for share in tqdm(NEWCOMERS, desc='newcomers'):
        delays: dict[float, list[int | None]] = {value: [] for value in pipelines}
        for photograph in photographs():
            empty, image, _ = scene(photograph, 640, 480, share, CONDITIONS[0], random, 1)
            shown = noisy(empty, random), noisy(image, random)
            for value, pipeline in pipelines.items():
                delays[value].append(frames_until_found(pipeline, *shown))
        lines.append(f'| {share} % of the width | ' + ' | '.join(
            f'{len(found)} of {len(each)} found, after {np.mean(found):.1f} frames' for each in delays.values()
            for found in [[delay for delay in each if delay is not None]]) + ' |')
    for pipeline in pipelines.values():
        pipeline.close()
    return '\n'.join(lines)


def _run(options: argparse.Namespace) -> None:
    text = report()
    print(text)
    if options.docs:
        write_file(options.docs, fill(options.docs.read_text(encoding='utf-8'), 'still image', text).encode())


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.still_image', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--docs', type=Path, help='fill the section still image of this document')
    options = parser.parse_args(arguments)
    return run('still_image', lambda: _run(options))


if __name__ == '__main__':
    sys.exit(main())
