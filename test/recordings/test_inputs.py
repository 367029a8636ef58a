"""What is found in folders as people have them, and the names of the outputs."""

import os
import sys

import cv2
import numpy as np
import pytest
from reading import frames_of, read
from videos import image_message, split_bag, storage, write_bag, write_bag1, write_video

from fer_ros.recordings.frame_readers import open_reader
from fer_ros.recordings.inputs import InputError, find_inputs, search

S = 1_000_000_000
IMAGE = 'sensor_msgs/msg/Image'


def plain(level=100):
    return np.full((48, 64, 3), level, np.uint8)


def video(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, [plain()] * 3)


def photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix if path.suffix in ('.jpg', '.png') else '.jpg', plain())[1].tobytes())
    return path


def bag_messages():
    return {'/image': (IMAGE, [(S, image_message(plain(), S))])}


def found(*arguments, **kwargs):
    result = search([str(a) for a in arguments], **kwargs)
    return [(item.source, item.kind) for item in result.inputs], result.broken, result.skipped


def test_everything_in_a_folder_is_found_or_named(tmp_path):
    root = tmp_path / 'study'
    video(root / 'a.mp4')
    (root / 'a.mp4').rename(root / 'no_suffix')
    video(root / 'B.MP4')
    write_bag1(root / 'drive.bag', bag_messages())
    storage(write_bag(tmp_path / '1', bag_messages())).rename(root / 'camera.MCAP')
    storage(write_bag(tmp_path / '2', bag_messages())).rename(root / 'renamed.dat')
    storage(write_bag(tmp_path / '3', bag_messages(), 'sqlite3')).rename(root / 'old')
    split_bag(root / 'bag', [bag_messages()['/image'][1]] * 2)
    video(root / 'bag' / 'beside.mp4')
    photo(root / 'photos' / '1.jpg')
    photo(root / 'photos' / '2')
    (root / 'notes.txt').write_text('x')
    (root / 'catalogue.db').write_bytes(b'SQLite format 3\0' + bytes(5000))
    (root / 'talk.m4a').write_bytes(b'\0\0\0\x20ftypM4A ' + bytes(100))
    video(root / '.hidden.mp4')
    video(root / 'half.partial.mp4')
    (root / 'broken.mp4').write_bytes(b'')
    (root / 'packed.mcap.gz').write_bytes(b'\x1f\x8b' + bytes(50))
    inputs, broken, skipped = found(root)
    assert inputs == [(str(root / name), kind) for name, kind in (
        ('B.MP4', 'video'), ('bag', 'bag'), ('bag/beside.mp4', 'video'), ('broken.mp4', 'video'),
        ('camera.MCAP', 'bag'), ('drive.bag', 'bag'), ('no_suffix', 'video'), ('old', 'bag'), ('photos', 'photos'),
        ('renamed.dat', 'bag'))]
    assert broken == [f'{root / "packed.mcap.gz"} is compressed or an archive: unpack it first']
    assert sorted(skipped) == sorted(str(root / name) for name in (
        '.hidden.mp4', 'catalogue.db', 'half.partial.mp4', 'notes.txt', 'talk.m4a'))


def test_each_real_file_is_found_once(tmp_path):
    root = tmp_path / 'study'
    video(root / 'sub' / 'z.mp4')
    (root / 'a.mp4').symlink_to('sub/z.mp4')
    (root / 'sub' / 'parent').symlink_to('..')
    (root / 'b').symlink_to('sub')
    (root / 'sub' / 'self').symlink_to('.')
    os.link(root / 'sub' / 'z.mp4', root / 'sub' / 'zz.mp4')
    video(tmp_path / 'elsewhere' / 'x.mp4')
    (root / 'outside').symlink_to(tmp_path / 'elsewhere')
    photo(root / 'photos' / '1.jpg')
    (root / 'photos' / '0.jpg').symlink_to('1.jpg')
    inputs, broken, _ = found(root)
    assert inputs == [(str(root / 'photos'), 'photos'), (str(root / 'sub' / 'z.mp4'), 'video'),
                      (str(root / 'outside' / 'x.mp4'), 'video')]
    assert not broken
    assert open_reader(search([str(root)]).inputs[0]).names == ['1.jpg']
    assert found(root, root / 'a.mp4', root / 'sub', root / 'b')[:2] == (inputs, [])


def test_links_that_lead_nowhere_pipes_and_folders_without_permission(tmp_path, monkeypatch):
    video(tmp_path / 'a.mp4')
    (tmp_path / 'gone.mp4').symlink_to('removed.mp4')
    (tmp_path / 'loop.mp4').symlink_to('loop.mp4')
    os.mkfifo(tmp_path / 'pipe.mp4')
    (tmp_path / 'locked').mkdir()
    from pathlib import Path
    listed = Path.iterdir

    def iterdir(path):
        if path.name == 'locked':  # root, who runs tests in containers, is refused nothing
            raise PermissionError(13, 'Permission denied', str(path))
        return listed(path)
    monkeypatch.setattr(Path, 'iterdir', iterdir)
    inputs, broken, skipped = found(tmp_path)
    assert inputs == [(str(tmp_path / 'a.mp4'), 'video')]
    assert broken[0] == f'{tmp_path / "locked"} cannot be read: Permission denied'
    assert broken[1].startswith(f'{tmp_path / "gone.mp4"} is a link to removed.mp4, which does not exist')
    assert broken[2].startswith(f'{tmp_path / "loop.mp4"} is a link to loop.mp4')
    assert skipped == [str(tmp_path / 'pipe.mp4')]
    assert found(tmp_path / 'pipe.mp4')[1][0].startswith(f'{tmp_path / "pipe.mp4"} is not a regular file')
    assert found(tmp_path / 'gone.mp4')[1][0].startswith(f'{tmp_path / "gone.mp4"} is a link to removed.mp4')


def test_mistyped_inputs_do_not_stop_the_others(tmp_path):
    video(tmp_path / 'a.mp4')
    (tmp_path / 'empty').mkdir()
    inputs, broken, _ = found(tmp_path / 'b.mp4', tmp_path / 'a.mp4', tmp_path / 'empty', 'x' * 300)
    assert inputs == [(str(tmp_path / 'a.mp4'), 'video')]
    assert [text.split(':')[0] for text in broken[:2]] == [f'{tmp_path / "b.mp4"} does not exist',
                                                           f'no recordings in {tmp_path / "empty"}']
    assert len(broken) == 3
    with pytest.raises(InputError, match=r'b\.mp4 does not exist'):
        find_inputs([str(tmp_path / 'b.mp4'), str(tmp_path / 'a.mp4')])


def test_the_folder_of_the_outputs_is_left_out_unless_it_is_given(tmp_path):
    video(tmp_path / 'a.mp4')
    video(tmp_path / 'out' / 'a.mp4')
    assert found(tmp_path, leave_out=tmp_path / 'out')[0] == [(str(tmp_path / 'a.mp4'), 'video')]
    assert len(found(tmp_path, leave_out=tmp_path)[0]) == 2


def test_a_metadata_file_of_something_else_makes_no_bag(tmp_path):
    video(tmp_path / 'a.mp4')
    (tmp_path / 'metadata.yaml').write_text('title: talks\n')
    assert found(tmp_path) == ([(str(tmp_path / 'a.mp4'), 'video')], [], [str(tmp_path / 'metadata.yaml')])


@pytest.mark.parametrize(('stem', 'name'), [
    ('=cmd|calc', '_=cmd|calc'), ('+1', '_+1'), ('-h', '_-h'), ('@sum', '_@sum'), ('＝1', '_＝1'), ('größe', 'größe'),
    ('a\nb\x1b[2J', 'a_b_[2J'), ('right\u202eleft', 'right_left'), ('x' * 250, 'x' * 200), ('ä' * 125, 'ä' * 100),
    (os.fsdecode(b'caf\xe9'), 'caf_xE9')])
def test_names_of_outputs(tmp_path, stem, name):
    path = tmp_path / f'{stem}.avi'
    path.write_bytes(b'RIFF\0\0\0\0AVI ')
    item, = find_inputs([str(path)])
    assert item.name == name
    assert len(item.name.encode()) <= 200


def test_names_that_differ_only_in_what_is_replaced(tmp_path):
    for stem in ('a\n', 'a\x1b', 'a_'):
        (tmp_path / f'{stem}.avi').write_bytes(b'RIFF\0\0\0\0AVI ')
    names = [item.name for item in find_inputs([str(tmp_path)])]
    assert len(set(names)) == 3


@pytest.mark.skipif(sys.platform != 'linux', reason='other systems have no names that are not UTF-8')
@pytest.mark.parametrize('kind', ['video', 'photos', 'mcap', 'sqlite3', 'rosbag1'])
def test_names_that_are_not_utf8(tmp_path, kind):
    folder = tmp_path / os.fsdecode(b'\xff\xfe')
    folder.mkdir()
    path = folder / os.fsdecode(b'caf\xe9')
    if kind == 'video':
        video(tmp_path / 'a.mp4').rename(path)
    elif kind == 'photos':
        photo(path)
    elif kind == 'rosbag1':
        write_bag1(path, bag_messages())
    else:
        storage(write_bag(tmp_path / 'bag', bag_messages(), kind)).rename(path)
    item, = find_inputs([str(folder)])
    reader = open_reader(item)
    frames, warning = frames_of(reader, item.source)
    assert len(frames) == (3 if kind == 'video' else 1)
    assert warning == ''
    reader.close()


def test_a_name_with_a_colon_is_no_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    video(tmp_path / 'a.mp4').rename('12:30.mp4')
    assert len(read('12:30.mp4')[0]) == 3
