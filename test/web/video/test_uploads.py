"""What is taken for a video, and what an upload may cost."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections import namedtuple

import cv2
import event_loop
import numpy as np
import pytest
from video_files import playlist

from fer_ros.web.confined.private_folder import PREFIX, PrivateFolder
from fer_ros.web.texts import VideoErrors
from fer_ros.web.video import uploads
from fer_ros.web.video.uploads import HEAD, RESERVE, UploadError, container, receive

KINDS = [('mp4', 'mp4v', 'mp4'), ('mov', 'mp4v', 'mp4'), ('3gp', 'mp4v', 'mp4'), ('mkv', 'mp4v', 'mkv'),
         ('webm', 'VP80', 'mkv'), ('avi', 'MJPG', 'avi'), ('ts', 'mp4v', 'ts'), ('m2ts', 'mp4v', 'ts'),
         ('mpg', 'MPG1', 'mpg'), ('flv', 'FLV1', 'flv'), ('wmv', 'WMV2', 'wmv')]
MP4 = b'\x00\x00\x00\x18ftypisom'


@pytest.mark.parametrize(('suffix', 'codec', 'kind'), KINDS)
def test_videos_are_known_by_their_content(tmp_path, suffix, codec, kind):
    path = tmp_path / f'a.{suffix}'
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), 25, (64, 48))
    for value in range(0, 250, 25):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    assert container(path.read_bytes()[:HEAD]) == kind


@pytest.mark.parametrize('head', [
    b'', b'a text named .mp4', b'#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n', b'ffconcat version 1.0\nfile a.mp4\n',
    b'v=0\r\nc=IN IP4 224.2.36.42/127\r\nm=video 5004 RTP/AVP 96\r\n', b'<?xml version="1.0"?><MPD></MPD>',
    b'RIFF\x00\x00\x00\x00WAVE', b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff\xe0', b'G' * 100, b'PK\x03\x04'])
def test_other_files_are_not(head):
    assert container(head) is None


def upload(folder, *chunks, limit=1000, announced=0, pause=0.0):
    async def come():
        for chunk in chunks:
            await asyncio.sleep(pause)
            yield chunk
    return event_loop.run(receive(come(), folder, limit, announced))


def refused(folder, *chunks, **kwargs) -> UploadError:
    with pytest.raises(UploadError) as caught:
        upload(folder, *chunks, **kwargs)
    assert list(folder.iterdir()) == []
    return caught.value


def test_what_came_is_kept_for_this_user_alone(tmp_path):
    path, kind = upload(tmp_path, MP4, b'', b'x' * 500, b'y' * 100)
    assert path.read_bytes() == MP4 + b'x' * 500 + b'y' * 100
    assert (path.parent, path.suffix, kind) == (tmp_path, '.mp4', 'mp4')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_blocks_are_written_whole(tmp_path):
    data = np.random.default_rng(1).bytes(3_500_000)
    path, _ = upload(tmp_path, MP4, *(data[i:i + 65_536] for i in range(0, len(data), 65_536)), limit=4 << 20)
    assert path.read_bytes() == MP4 + data


def test_too_large_by_announcement_takes_nothing(tmp_path):
    def never():
        raise AssertionError('was read')
        yield
    error = refused(tmp_path, *[], announced=1001)
    assert error.status == 413


def test_too_large_while_it_comes_is_refused_before_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, '_BLOCK', 100)
    taken = []

    async def come():
        yield MP4 + b'x' * 600
        for _ in range(100):
            taken.append(sum(file.stat().st_size for file in tmp_path.iterdir()))
            yield b'x' * 300
    with pytest.raises(UploadError) as caught:
        event_loop.run(receive(come(), tmp_path, 2 << 20 >> 11))
    assert caught.value.status == 413
    assert len(taken) < 3
    assert max(taken) <= 1024
    assert list(tmp_path.iterdir()) == []


def test_no_video_is_refused_after_its_first_bytes(tmp_path):
    error = refused(tmp_path, b'a text named .mp4' * 100, limit=10_000)
    assert (error.status, str(error)) == (415, VideoErrors.not_video)
    assert str(refused(tmp_path)) == VideoErrors.empty
    assert refused(tmp_path, playlist(tmp_path.parent / 'l.mp4', 'file:///etc/passwd').read_bytes()).status == 415


def test_a_disk_that_fills_is_spared(tmp_path, monkeypatch):
    usage = namedtuple('usage', 'total used free')
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage(0, 0, RESERVE + 700))
    assert upload(tmp_path, MP4, b'x' * 300)[1] == 'mp4'
    (tmp_path / 'upload.mp4').unlink()
    assert refused(tmp_path, MP4, announced=900).status == 507
    assert refused(tmp_path, MP4, b'x' * 900).status == 507


def test_a_browser_that_stops_sending_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, 'PATIENCE', 0.05)
    assert refused(tmp_path, MP4, b'x', pause=600.0).status == 408


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path):
    async def come():
        yield MP4
        raise ConnectionError
    with pytest.raises(ConnectionError):
        event_loop.run(receive(come(), tmp_path, 1000))
    assert list(tmp_path.iterdir()) == []


def test_folder_is_private_and_goes_with_the_program(tmp_path):
    folder = PrivateFolder(tmp_path)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    (folder.path / 'a').mkdir()
    (folder.path / 'a' / 'b').write_text('b')
    folder.close()
    folder.close()
    assert list(tmp_path.iterdir()) == []


LEAVE = ('import sys, os; from fer_ros.web.confined.private_folder import PrivateFolder; '
         'folder = PrivateFolder(sys.argv[1]); (folder.path / "upload").write_text("face"); print("made", flush=True); '
         'sys.stdin.read()')


def start(parent):
    process = subprocess.Popen([sys.executable, '-c', LEAVE, str(parent)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'made\n'
    return process


def test_what_a_killed_program_left_goes_at_the_next_start_and_nothing_else(tmp_path):
    other = tmp_path / 'other'
    other.mkdir()
    (other / 'precious').write_text('keep')
    (tmp_path / f'{PREFIX}link').symlink_to(other)
    shared = tmp_path / f'{PREFIX}shared'
    shared.mkdir(mode=0o755)
    killed, living = start(tmp_path), start(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(list(tmp_path.glob(f'{PREFIX}*/upload'))) == 2
    folder = PrivateFolder(tmp_path)
    assert len(list(tmp_path.glob(f'{PREFIX}*/upload'))) == 1
    assert (other / 'precious').exists()
    assert shared.exists()
    living.communicate('')
    folder.close()
    assert list(tmp_path.glob(f'{PREFIX}*/upload')) == []
    assert os.listdir(other) == ['precious']
