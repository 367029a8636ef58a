"""Cost of storing a frame of a recording so that the page can play it.

    python -m benchmarks.playback

Milliseconds of processor time and kB per frame of the built-in clip, 640×480; figures of different runs are not
comparable.
"""

import os
import tempfile
import time
from pathlib import Path

os.environ['OPENCV_FFMPEG_LOGLEVEL'] = '-8'

import cv2

from fer_ros.media.built_in_clip import BuiltInClip
from fer_ros.web.video.playback import QUALITY

FRAMES = 60
VIDEOS = {'VP8': ('VP80', 'webm'), 'VP9': ('VP90', 'webm'), 'MPEG-4': ('mp4v', 'mp4')}


def main() -> None:
    """Entry point."""
    cv2.setNumThreads(1)
    clip = BuiltInClip()
    images = [clip.frame(index) for index in range(150, 150 + FRAMES)]
    print('| format | ms | kB |\n| --- | --- | --- |')
    start = time.process_time()
    size = sum(len(cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1]) for image in images)
    _row('JPEG', time.process_time() - start, size)
    with tempfile.TemporaryDirectory() as folder:
        for name, (codec, suffix) in VIDEOS.items():
            path = Path(folder, f'a.{suffix}')
            start = time.process_time()
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), clip.rate,
                                     images[0].shape[1::-1])
            for image in images:
                writer.write(image)
            writer.release()
            if path.exists():
                _row(name, time.process_time() - start, path.stat().st_size)


def _row(name: str, seconds: float, size: int) -> None:
    print(f'| {name} | {1000 * seconds / FRAMES:.1f} | {size / FRAMES / 1000:.0f} |', flush=True)


if __name__ == '__main__':
    main()
