"""Recordings on a Dask cluster: the same results, whatever happens to its workers."""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from test_parts import outputs
from videos import clip_frames, write_video

pytest.importorskip('distributed')
import psutil
from distributed import get_worker

from fer_ros.recordings import cluster_run
from fer_ros.recordings.cluster import Cluster
from fer_ros.recordings.inputs import find_inputs
from fer_ros.recordings.outcomes import PoolError
from fer_ros.recordings.part_task import Answer, analyse_part
from fer_ros.recordings.processing import create_pipeline, process
from fer_ros.recordings.runs import Workers, process_all
from fer_ros.recordings.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0
SETTINGS = Settings(part_s=1.0, detector='full', annotated=True)


@pytest.fixture(scope='module')
def cluster():
    """Two workers on this computer, shared by all tests as if it were the user's cluster."""
    cluster = Cluster(2)
    yield cluster
    cluster.close()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A recording of three parts, a short one and a photo."""
    folder = tmp_path_factory.mktemp('inputs')
    frames = [frame[::2, ::2].copy() for frame in clip_frames(6.6, 9.8)]
    write_video(folder / 'long.mp4', frames)
    write_video(folder / 'short.mp4', frames[:6])
    return folder


@pytest.fixture(scope='module')
def expected(tmp_path_factory, folder):
    """What one process makes of them."""
    out = tmp_path_factory.mktemp('expected')
    with create_pipeline(SETTINGS) as pipeline:
        for item in find_inputs([str(folder)]):
            process(item, out, SETTINGS, pipeline)
    return outputs(out)


def run(cluster, folder, out, progress=lambda item, frames, share: None, stopped=lambda: False, **more):
    """The outcomes by name."""
    ended = {}
    process_all(find_inputs([str(folder)]), out, SETTINGS, Workers(scheduler=cluster.address),
                more.pop('resume', False), progress, lambda outcome: ended.setdefault(outcome.item.name, outcome),
                stopped, **more)
    return ended


def worker_processes():
    def is_worker(process):
        with suppress(psutil.NoSuchProcess):
            return 'spawn_main' in ' '.join(process.cmdline())
        return False
    return [process for process in psutil.Process().children(recursive=True) if is_worker(process)]


def test_the_results_are_those_of_one_process(tmp_path, cluster, folder, expected):
    seen = []
    ended = run(cluster, folder, tmp_path, lambda item, frames, share: seen.append((item.name, frames, share)))
    assert {name: outcome.error for name, outcome in ended.items()} == {'long': '', 'short': ''}
    assert outputs(tmp_path) == expected
    assert not (tmp_path / '.parts').exists()
    shares = [share for name, _, share in seen if name == 'long']
    assert all(0 <= share <= 1 for share in shares)
    assert any(0 < share < 1 for share in shares), 'progress within the recording'


def test_everything_listens_on_this_computer_only(cluster):
    ours = {psutil.Process().pid, *(process.pid for process in psutil.Process().children(recursive=True))}
    listening = {connection.laddr.ip for pid in ours for connection in psutil.Process(pid).net_connections('inet')
                 if connection.status == psutil.CONN_LISTEN}
    assert listening == {'127.0.0.1'}


def test_a_worker_that_is_killed_costs_nothing_but_time(tmp_path, cluster, folder, expected):
    killed = []

    def progress(item, frames, share):
        if item.name == 'long' and not killed and frames:
            killed.append(worker_processes()[0])
            killed[0].kill()
    ended = run(cluster, folder, tmp_path, progress)
    assert killed
    assert {name: outcome.error for name, outcome in ended.items()} == {'long': '', 'short': ''}
    assert outputs(tmp_path) == expected


def test_a_part_that_kills_its_workers_fails_alone(tmp_path, cluster, folder, expected, monkeypatch):
    first = tmp_path / '.parts' / 'long' / '000000.npz'

    def poisoned(order):
        if order.item.name == 'long' and order.part.number == 1:
            while not first.exists():
                time.sleep(0.05)
            os._exit(1)
        return analyse_part(order)
    monkeypatch.setattr(cluster_run, 'analyse_part', poisoned)
    ended = run(cluster, folder, tmp_path)
    assert ended['long'].error == f'{folder / "long.mp4"}: ' + (
        'part 2 of 3 ended the process of each worker that tried it: a decoder crashed, or there was not enough memory')
    assert ended['short'].summary is not None
    assert (tmp_path / 'short.csv').read_bytes() == expected['short.csv']
    assert not (tmp_path / 'long.csv').exists()
    # The parts that were finished are used later.
    assert first.exists() and not first.with_name('000001.npz').exists()

    def last_ones(order):
        return Answer(error='not finished') if order.part.number == 0 else analyse_part(order)
    monkeypatch.setattr(cluster_run, 'analyse_part', last_ones)
    ended = run(cluster, folder, tmp_path, resume=True)
    assert ended['short'].error == 'not finished'
    assert ended['long'].summary is not None
    assert outputs(tmp_path)['long.mp4'] == expected['long.mp4']
    assert (tmp_path / 'long.csv').read_bytes() == expected['long.csv']


def test_a_file_that_a_worker_does_not_see_goes_to_another(tmp_path, cluster, folder, expected, monkeypatch):
    end = time.monotonic() + PATIENCE
    while len(workers := cluster.workers()) < 2:  # the test before has killed one
        assert time.monotonic() < end
        time.sleep(0.1)
    blind = min(workers)

    def half_blind(order):
        here = get_worker().address
        if here == blind:
            return Answer(error=f'{order.item.source}: No such file or directory', elsewhere='file', worker=here)
        return analyse_part(order)
    monkeypatch.setattr(cluster_run, 'analyse_part', half_blind)
    ended = run(cluster, folder, tmp_path)
    assert {name: outcome.error for name, outcome in ended.items()} == {'long': '', 'short': ''}
    assert outputs(tmp_path) == expected


def test_a_file_that_no_worker_sees_is_told_in_one_line(tmp_path, cluster, folder, monkeypatch):
    def elsewhere(order):
        if order.item.name == 'long':
            object.__setattr__(order.item, 'source', '/nowhere/long.mp4')
        return analyse_part(order)
    monkeypatch.setattr(cluster_run, 'analyse_part', elsewhere)
    monkeypatch.setattr(cluster_run, 'ALONE', 0.0)
    ended = run(cluster, folder, tmp_path)
    assert ended['short'].summary is not None
    said = f'{folder / "long.mp4"} is not the same file on any worker, or not there ('
    assert ended['long'].error.startswith(said)
    assert ended['long'].error.endswith('): mount its folder under the same path everywhere')


def test_a_run_that_is_stopped_keeps_its_finished_parts(tmp_path, cluster, folder, expected):
    def one_is_finished():
        return (tmp_path / '.parts' / 'long').exists()
    ended = run(cluster, folder, tmp_path, stopped=one_is_finished)
    assert ended['long'].interrupted
    assert one_is_finished()
    assert not (tmp_path / 'long.csv').exists()
    ended = run(cluster, folder, tmp_path, resume=True)
    assert ended['long'].summary is not None
    assert outputs(tmp_path)['long.csv'] == expected['long.csv']
    assert not (tmp_path / '.parts').exists()


def test_a_scheduler_that_is_lost_ends_the_run_in_one_line(tmp_path, folder, monkeypatch):
    """It never had a worker, which is told too."""
    monkeypatch.setattr(cluster_run, 'ALONE', 0.0)
    monkeypatch.setattr('fer_ros.recordings.cluster.PATIENCE', PATIENCE)
    scheduler = subprocess.Popen(
        [sys.executable, '-m', 'distributed.cli.dask_scheduler', '--host', '127.0.0.1', '--port', '0', '--no-dashboard',
         '--dashboard-address', '127.0.0.1:0'], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        address = next(word for line in scheduler.stderr for word in line.split() if word.startswith('tcp://127'))
        threading.Thread(target=scheduler.stderr.read, daemon=True).start()
        told = []

        def tell(line):
            told.append(line)
            scheduler.kill()
        with pytest.raises(PoolError, match=f'the Dask scheduler at {address} is gone') as error:
            process_all(find_inputs([str(folder)]), tmp_path / 'out', SETTINGS, Workers(scheduler=address), False,
                        lambda item, frames, share: None, lambda outcome: None, lambda: False, tell)
        assert str(error.value).endswith('finished parts are kept: continue with --resume')
        assert told == [f'waiting for workers: start them with `dask worker {address} --nthreads 1`']
    finally:
        scheduler.kill()
        scheduler.wait()


def test_without_a_scheduler_there_is_one_line(monkeypatch):
    monkeypatch.setattr('fer_ros.recordings.cluster.PATIENCE', 0.5)
    with pytest.raises(PoolError, match=r'no Dask scheduler answers at tcp://127\.0\.0\.1:9 '):
        Cluster(0, 'tcp://127.0.0.1:9')
    with pytest.raises(PoolError, match='no Dask scheduler answers at nonsense://'):
        Cluster(0, 'nonsense://host:1')


def test_one_process_needs_nothing_of_dask():
    code = ('import sys, fer_ros.tools.process_video, fer_ros.recordings.part_analysis, fer_ros.recordings.joining; '
            'print([name for name in ("dask", "distributed") if name in sys.modules])')
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE,
                          check=True)
    assert done.stdout == '[]\n'
