"""Videos that can be played up to the moment at which their writer was killed."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

av = pytest.importorskip('av')

from fer_ros.media.fragments import make_whole  # noqa: E402

WRITE = '''
import sys, numpy as np
from pathlib import Path
from fer_ros.media.video_writer import VideoWriter
path = Path(sys.argv[1]) / 'f.mp4'
writer = VideoWriter(path, 10.0, path, longest_gap=float('inf'), fragmented=True)
for index in range(40):
    writer.add(np.full((48, 64, 3), 5 * index, np.uint8), index / 10)
if sys.argv[2] == 'close':
    writer.close()
else:
    print('written', flush=True)
    sys.stdin.read()
'''


def levels(path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.to_ndarray(format='bgr24').mean()) for frame in container.decode(video=0)]


def test_what_a_killed_process_has_written_is_played_and_made_whole(tmp_path):
    with subprocess.Popen([sys.executable, '-c', WRITE, str(tmp_path), 'wait'], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b'written\n'
        process.send_signal(signal.SIGKILL)
    fragments, whole = tmp_path / 'f.mp4', tmp_path / 'a.mp4'
    played = levels(fragments)
    assert len(played) >= 20, 'all but the last fragments'
    # A file system that cut the last fragment off.
    os.truncate(fragments, fragments.stat().st_size - 5)
    make_whole(fragments, whole)
    assert len(played) - 10 <= len(levels(whole)) <= len(played)
    assert levels(whole) == pytest.approx([5 * index for index in range(len(levels(whole)))], abs=6)
    assert os.listdir(tmp_path) == ['a.mp4']
    data = whole.read_bytes()
    assert data.index(b'moov') < data.index(b'mdat') and b'moof' not in data


def test_no_frame_is_lost_where_it_was_closed(tmp_path):
    subprocess.run([sys.executable, '-c', WRITE, str(tmp_path), 'close'], check=True)
    fragments = tmp_path / 'f.mp4'
    before = levels(fragments)
    make_whole(fragments, tmp_path / 'a.mp4')
    assert levels(tmp_path / 'a.mp4') == before and len(before) == 40
    with av.open(str(tmp_path / 'a.mp4')) as container:
        assert container.duration == pytest.approx(4_000_000, abs=2000)


@pytest.mark.parametrize('content', [b'', bytes(1000), np.arange(999, dtype=np.uint8).tobytes()])
def test_what_is_no_video_is_kept_and_told(tmp_path, content):
    (tmp_path / 'f.mp4').write_bytes(content)
    with pytest.raises(OSError, match='the video'):
        make_whole(tmp_path / 'f.mp4', tmp_path / 'a.mp4')
    assert os.listdir(tmp_path) == ['f.mp4'] and (tmp_path / 'f.mp4').read_bytes() == content
