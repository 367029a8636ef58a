"""Lets the process that analyses a video wait, so that a test has time for what happens meanwhile."""

import os
from pathlib import Path

PATCH = '''
import sys, time
from pathlib import Path
if 'fer_ros.web.video.job_process' in sys.orig_argv:
    from fer_ros.web.video.playback import PlaybackWriter
    add, waits = PlaybackWriter.add, Path(__file__).with_name('waits')
    def later(self, *frame):
        end = time.monotonic() + {seconds}
        while len(self) >= {first} and waits.exists() and time.monotonic() < end:
            time.sleep(0.02)
        add(self, *frame)
    PlaybackWriter.add = later
'''


class SlowJob:
    """Each frame from `first` on waits for so many seconds, or until `go_on`.

    Args:
        folder: is made. Processes import from it if it is in PYTHONPATH.
        first: number of the first frame that waits.
        seconds: of each frame.
    """

    def __init__(self, folder: Path, first: int = 0, seconds: float = 600.0) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / 'sitecustomize.py').write_text(PATCH.format(first=first, seconds=seconds))
        (folder / 'waits').touch()

    def start(self, patch) -> 'SlowJob':
        """Let the processes that this one starts import it; `patch` is pytest's."""
        patch.setenv('PYTHONPATH', str(self.folder), prepend=os.pathsep)
        return self

    def go_on(self) -> None:
        """Let no frame wait any more."""
        (self.folder / 'waits').unlink()
