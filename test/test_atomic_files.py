import pytest

from fer_ros import atomic_files
from fer_ros.atomic_files import write_file


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'model'
    write_file(path, b'old')

    def full(*_):
        raise OSError('no space left on device')

    monkeypatch.setattr(atomic_files.os, 'replace', full)
    with pytest.raises(OSError, match='no space'):
        write_file(path, b'new')
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]


def test_folders_on_the_way_are_made(tmp_path):
    write_file(tmp_path / 'a' / 'b' / 'c', b'x')
    assert (tmp_path / 'a' / 'b' / 'c').read_bytes() == b'x'
