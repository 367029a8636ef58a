"""The animation at the top of the README: the built-in clip with its faces and their valence over time.

    python -m benchmarks.readme_animation

The frames go through the real pipeline; nothing is drawn by hand.
"""

import argparse
import io
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
from tqdm import tqdm

from fer_ros.atomic_files import write_file
from fer_ros.drawing.annotate import annotate
from fer_ros.drawing.colours import FaceColours
from fer_ros.drawing.valence_plot import ValencePlot
from fer_ros.media.built_in_clip import BuiltInClip
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
from fer_ros.results.faces import FacesFrame
from fer_ros.results.history import FacesHistory

OUTPUT = Path(__file__).resolve().parents[1] / 'docs' / 'images' / 'demo.webp'
RATE = 30
"""Frames per second that are processed."""
SHOWN = 3
"""Every N-th processed frame is shown."""
WIDTH = 480
"""Pixels."""
MAX_BYTES = 2_000_000


def frames() -> list[PIL.Image.Image]:
    """The annotated frames, each above the plot of the last seconds."""
    clip, colours, history = BuiltInClip(rate=RATE), FaceColours(), FacesHistory(10.0)
    plot = ValencePlot(640, 220, colours=colours)
    shown = []
    with FacePipeline(PipelineSettings(deterministic_ids=True)) as pipeline:
        for index in tqdm(range(len(clip)), unit='frame'):
            image = clip[index]
            stamp_ns = round(index / RATE * 1e9)
            result = pipeline.process(image, stamp_ns * 1e-9)
            frame = FacesFrame(stamp_ns, 'camera', clip.width, clip.height, result.faces, result.primary)
            history.add(frame)
            if index % SHOWN == 0:
                picture = np.vstack([annotate(image, frame, colours), plot.rolling(history, stamp_ns, 10.0)])
                height = round(picture.shape[0] * WIDTH / picture.shape[1])
                picture = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA)
                shown.append(PIL.Image.fromarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)))
    return shown


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--output', type=Path, default=OUTPUT, help='(default: docs/images/demo.webp)')
    parser.add_argument('--quality', type=int, default=60, help='of WebP, 0 to 100 (default: 60)')
    options = parser.parse_args()
    first, *others = frames()
    data = io.BytesIO()
    first.save(data, 'WEBP', save_all=True, append_images=others, duration=round(1000 * SHOWN / RATE), loop=0,
               quality=options.quality, method=4)
    if len(data.getvalue()) > MAX_BYTES:
        raise SystemExit(f'{len(data.getvalue())} bytes are too many for a README: lower --quality')
    write_file(options.output, data.getvalue())
    print(f'{options.output}: {len(data.getvalue())} bytes')


if __name__ == '__main__':
    main()
