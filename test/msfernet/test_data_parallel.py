"""Trainings that several processes share."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from msfernet_support import face_set, write_split
from process_tree import gone, signalled, spawned

from fer_ros.msfernet.data_parallel import ALONE, Peer, peers
from fer_ros.msfernet.network import MSFERNet
from fer_ros.msfernet.train import Recipe, Trainer, main
from fer_ros.msfernet.weights import read_tensors

ROOT = Path(__file__).resolve().parents[2]


def averaged(peer):
    tensors = [torch.full((2, 3), float(peer.index)), torch.tensor(10.0 * peer.index)]
    peer.average(tensors)
    return tensors


def end_early(peer):
    raise SystemExit(3)


class EndsTheProcessThatReadsIt:
    def __reduce__(self):
        return os._exit, (4,)


def test_every_process_gets_the_mean():
    with peers(2, averaged):
        first, second = averaged(Peer(0, 2))
    assert torch.equal(first, torch.full((2, 3), 0.5)) and second == 5


def test_alone_everything_stays():
    with peers(1, averaged):
        assert [t.sum() for t in averaged(ALONE)] == [0, 0]


def test_another_process_that_ends_is_told():
    with pytest.raises(ChildProcessError, match='another process of the training ended with 3'), peers(2, end_early):
        averaged(Peer(0, 2))


def test_another_process_that_cannot_start_is_told():
    with (pytest.raises(ChildProcessError, match='another process of the training ended with 4'),
          peers(2, averaged, EndsTheProcessThatReadsIt())):
        raise AssertionError('begun without it')


@pytest.mark.parametrize(('size', 'count'), [(8, 3), (4, 4)])
def test_batches_that_cannot_be_shared_are_refused(tmp_path, size, count):
    with pytest.raises(ValueError, match=f'batches of {size} faces cannot be shared by {count} processes'):
        Trainer(MSFERNet(stem=4, widths=(8, 8), depths=(1, 1)), face_set(21), face_set(9), Recipe(batch_size=size),
                tmp_path, peer=Peer(0, count))


# Command line

@pytest.fixture
def arguments(tmp_path):
    write_split(tmp_path / 'data' / 'train', 4)
    write_split(tmp_path / 'data' / 'validation', 1, seed=20)
    return ['--data', str(tmp_path / 'data'), '--batch-size', '14', '--device', 'cpu', '--processes', '2',
            '--epochs', '4']


PAUSING = """if True:
    import sys
    from fer_ros.msfernet import train
    write = train.write_tensors
    def written(path, *rest):
        write(path, *rest)
        if path.name.startswith('checkpoint'):
            sys.stdin.read()
    train.write_tensors = written
    raise SystemExit(train.main())
"""
"""The training, which waits after its first checkpoint for what the test does."""


def start(arguments, out, program=('-m', 'fer_ros.msfernet.train'), **kwargs):
    return subprocess.Popen([sys.executable, *program, *arguments, '--out', str(out)], cwd=ROOT, stdin=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **kwargs)


def wait_for_checkpoint(process, out):
    while not (out / 'checkpoint.safetensors').exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)


def local_addresses_of_listening_sockets(pid):
    inodes = {os.readlink(fd) for fd in Path(f'/proc/{pid}/fd').iterdir() if fd.is_symlink()}
    rows = [line.split() for name in ('tcp', 'tcp6') for line in Path(f'/proc/net/{name}').read_text().splitlines()[1:]]
    return [row[1].split(':')[0] for row in rows if row[3] == '0A' and f'socket:[{row[9]}]' in inodes]


def test_a_run_that_was_stopped_resumes_to_the_same_bits(arguments, tmp_path, capsys):
    assert main([*arguments, '--out', str(tmp_path / 'whole')]) == 0
    parts = tmp_path / 'parts'
    process = start(arguments, parts, ('-c', PAUSING))
    wait_for_checkpoint(process, parts)
    others = spawned(process.pid)
    for pid in (process.pid, *others):
        assert set(local_addresses_of_listening_sockets(pid)) <= {'0100007F'}, 'open to other machines'
    process.send_signal(signal.SIGINT)
    assert 'go on with --resume' in process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert len(others) == 1 and not Path(f'/proc/{others[0]}').exists()
    assert main([*arguments, '--out', str(parts), '--resume']) == 0
    (tensors, metadata), (expected, expected_metadata) = (
        read_tensors(out / 'checkpoint.safetensors') for out in (parts, tmp_path / 'whole'))
    assert metadata == expected_metadata
    assert all(torch.equal(tensors[name], value) for name, value in expected.items())
    assert [json.loads(line)['epoch'] for line in (parts / 'metrics.jsonl').read_text().splitlines()] == [1, 2, 3, 4]


def test_ctrl_c_while_the_other_process_starts_ends_both(arguments, tmp_path):
    process = start(arguments, tmp_path / 'run', ('-c', signalled('fer_ros.msfernet.train', signal.SIGINT)),
                    start_new_session=True)
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert 'go on with --resume' in error and 'Traceback' not in error
    assert gone(process.pid, 120)


def test_a_killed_process_ends_the_run_with_one_line(arguments, tmp_path):
    arguments[-1] = '1000'
    process = start(arguments, tmp_path / 'run')
    wait_for_checkpoint(process, tmp_path / 'run')
    os.kill(spawned(process.pid)[0], signal.SIGKILL)
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    # Python adds a warning about the lock of the killed one's progress bar.
    assert 'train: another process of the training ended with -9: go on with --resume' in error.splitlines()
    assert 'Traceback' not in error


@pytest.mark.parametrize(('more', 'message'), [
    (['--processes', '0'], '--processes must be at least 1, got 0'),
    (['--processes', '5'], 'batches of 14 faces cannot be shared by 5 processes')])
def test_a_wrong_number_is_one_line(arguments, tmp_path, capsys, more, message):
    assert main([*arguments, '--out', str(tmp_path / 'run'), *more]) == 1
    assert message in capsys.readouterr().err


def test_a_loss_that_is_not_finite_is_told_once(arguments, tmp_path):
    process = start([*arguments, '--learning-rate', '1e30'], tmp_path / 'run')
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert 'Traceback' not in error and error.count('lower --learning-rate') == 1
