import fcntl
import os
import time

from fer_ros.nodes import shared_memory
from fer_ros.nodes.shared_memory import MIN_AGE, remove_orphans

NAMES = ('fastrtps_0123456789abcdef', 'fastdds_fedcba9876543210')


def segments(folder, age=2 * MIN_AGE):
    for name in NAMES:
        for path in (folder / name, folder / f'{name}_el'):
            path.write_bytes(b'x')
            os.utime(path, (time.time() - age,) * 2)
    return [folder / name for name in NAMES]


def test_segments_without_owner_go(tmp_path):
    segments(tmp_path)
    assert remove_orphans(tmp_path) == 2
    assert not list(tmp_path.iterdir())
    assert remove_orphans(tmp_path) == 0


def test_a_segment_whose_owner_lives_stays(tmp_path):
    owned, _ = segments(tmp_path)
    with owned.with_name(f'{owned.name}_el').open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert remove_orphans(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [owned.name, f'{owned.name}_el']


def test_a_segment_that_has_just_been_made_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_memory, 'MIN_AGE', 3600.0)
    segments(tmp_path, age=1800.0)
    assert remove_orphans(tmp_path) == 0
    assert len(list(tmp_path.iterdir())) == 4


def test_nothing_else_is_touched(tmp_path):
    others = ['fastrtps_port7413', 'fastrtps_port7413_el', 'fastrtps_0123456789abcdef_el.txt', 'fastrtps_x_el',
              'sem.fastrtps_port7413_mutex', 'psm_0123456789abcdef_el']
    for name in others:
        (tmp_path / name).write_bytes(b'')
        os.utime(tmp_path / name, (0, 0))
    assert remove_orphans(tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)


def test_where_there_is_no_such_folder(tmp_path):
    assert remove_orphans(tmp_path / 'none') == 0
