"""process_video as it is started by a person: arguments, exit codes, broken inputs, interruption and resumption."""

import csv
import fcntl
import json
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import cv2
import pytest
from process_tree import children, gone, signalled, spawned

from fer_ros.recordings.inputs import find_inputs
from fer_ros.recordings.processing import Settings, finished

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'recordings'))
from videos import clip_frames, cut, image_message, write_bag, write_video

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180.0
LONG = 200
INTERRUPTED = """if True:
    import os, signal, threading
    from fer_ros.recordings.cluster_run import ClusterRun
    from fer_ros.recordings.part_store import PartStore
    from fer_ros.tools.process_video import main
    save, stop = PartStore.save, ClusterRun.stop
    sent, stopping = threading.Lock(), threading.Event()
    def saved(*arguments):
        save(*arguments)
        if sent.acquire(blocking=False):
            os.killpg(0, signal.SIGINT)
        stopping.wait()
    def stopped(run):
        stopping.set()
        stop(run)
    PartStore.save, ClusterRun.stop = saved, stopped
    raise SystemExit(main())
"""
"""process_video, and Ctrl-C in its terminal as soon as a part is finished, which the run goes on with only after it."""


def start(*arguments, program=('-m', 'fer_ros.tools.process_video'), **kwargs):
    command = [sys.executable, *program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)


def run(*arguments, **kwargs):
    """Exit code, standard output, and the lines of standard error, which is no terminal: there is no progress bar."""
    process = start(*arguments, **kwargs)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err.splitlines()


def run_on_terminal(*arguments):
    """Exit code, standard output, and what a terminal of 120 columns would have got."""
    terminal, its_end = os.openpty()
    fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack('4H', 40, 120, 0, 0))
    command = [sys.executable, '-m', 'fer_ros.tools.process_video', *map(str, arguments)]
    shown = bytearray()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=its_end, text=True) as process:
        os.close(its_end)
        with suppress(OSError):  # what a terminal says when nobody is at its other end any more
            while part := os.read(terminal, 4096):
                shown += part
        out = process.stdout.read()
    os.close(terminal)
    return process.returncode, out, shown.decode()


def wait(condition, process):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, 'waited in vain'
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def rows(path):
    return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []


@pytest.fixture(scope='module')
def frames():
    return clip_frames(6.0, 7.0)


@pytest.fixture(scope='module')
def long_video(tmp_path_factory, frames):
    """So long that it is interrupted in time, whatever is late; no test reads all of it."""
    return write_video(tmp_path_factory.mktemp('long') / 'long.mp4', frames * LONG)


def test_one_broken_input_does_not_stop_the_rest_and_progress_is_shown(tmp_path, frames):
    folder = tmp_path / 'in'
    folder.mkdir()
    write_video(folder / 'b.mp4', frames)
    write_video(folder / 'd.mp4', frames[:3])
    (folder / 'a.mp4').write_text('not a video')
    cut(write_video(folder / 'c.mp4', frames), 0.5)  # its index is at its end
    code, out, shown = run_on_terminal(folder, '--output', tmp_path / 'out', '--jobs', 1)
    assert code == 1
    assert re.search(r'\d+%.*\d\d:\d\d<(\?|[\d:]+), \d+ frames/s, b', shown)
    assert '100%' in shown
    err = shown.splitlines()
    assert {p.name for p in (tmp_path / 'out').iterdir()} == {
        'tables', *(f'{n}.{s}' for n in 'bd' for s in ('csv', 'json', 'png'))}
    assert [row['recording'] for row in rows(tmp_path / 'out' / 'tables' / 'recordings.csv')] == ['b', 'd']
    assert 'b: 1.0 s, 10 frames, 2 faces' in out
    listed = err[err.index('2 of 4 inputs failed or are damaged:') + 1:]
    assert [str(folder / n) in line for n, line in zip(('a.mp4', 'c.mp4'), listed, strict=True)] == [True, True]
    # The second input of the same process begins anew.
    assert {r['face_id'] for r in rows(tmp_path / 'out' / 'd.csv')} == {'f1', 'f2'}


def test_sigint_keeps_the_rows_and_resume_goes_on(tmp_path, frames, long_video):
    short, out = write_video(tmp_path / 'a.mp4', frames), tmp_path / 'out'
    process = start(short, long_video, '--output', out, '--jobs', 1)
    wait(lambda: len(rows(out / 'long.partial.csv')) > 5, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert '--resume' in err
    assert 'Traceback' not in err
    assert {p.name for p in out.iterdir()} == {'a.csv', 'a.json', 'a.png', 'long.partial.csv', 'tables'}
    partial = rows(out / 'long.partial.csv')
    assert 5 < len(partial) < 20 * LONG
    assert None not in partial[-1].values()
    finished = (out / 'a.csv').stat().st_mtime_ns
    code, text, _ = run(short, long_video, '--output', out, '--jobs', 1, '--resume', '--seconds', 2)
    assert code == 0  # other settings: both are done anew
    assert text.startswith('0 of 2')
    assert (out / 'a.csv').stat().st_mtime_ns > finished
    assert {p.name for p in out.iterdir()} == {
        'tables', *(f'{n}.{s}' for n in ('a', 'long') for s in ('csv', 'json', 'png'))}
    assert json.loads((out / 'long.json').read_text())['frames'] == 20
    again = {p: p.stat().st_mtime_ns for p in out.iterdir()}
    code, text, _ = run(short, long_video, '--output', out, '--jobs', 1, '--resume', '--seconds', 2)
    assert code == 0
    assert text.startswith('2 of 2 inputs are already finished')
    assert {p: p.stat().st_mtime_ns for p in out.iterdir()} == again


def test_ctrl_c_ends_the_workers_and_keeps_parts_with_which_one_process_goes_on(tmp_path, frames):
    pytest.importorskip('distributed')
    small = [frame[::2, ::2].copy() for frame in frames]
    video, out = write_video(tmp_path / 'a.mp4', small * 8), tmp_path / 'out'
    arguments = (video, '--output', out, '--part-seconds', 1, '--detector', 'full')
    process = start(*arguments, '--jobs', 2, program=('-c', INTERRUPTED), start_new_session=True)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err.splitlines() == [f'interrupted: finished inputs and partial CSV files are in {out}; continue with '
                                '--resume']
    assert gone(process.pid, PATIENCE)
    kept = {path.name: path.stat().st_mtime_ns for path in (out / '.parts' / 'a').iterdir()}
    assert kept and not (out / 'a.csv').exists()
    code, _, err = run(*arguments, '--jobs', 1, '--resume')
    assert (code, err) == (0, [])
    assert {p.name for p in out.iterdir()} == {'a.csv', 'a.json', 'a.png', 'tables'}
    assert json.loads((out / 'a.json').read_text())['frames'] == 80


@pytest.mark.parametrize('jobs', [1, 2])
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_while_they_start_ends_them_with_one_line(tmp_path, frames, number, jobs):
    """Of a terminal, or of whatever ends a service or a job: its group gets the signal as a whole."""
    if jobs > 1:
        pytest.importorskip('distributed')
    video, out = write_video(tmp_path / 'a.mp4', frames), tmp_path / 'out'
    process = start(video, '--output', out, '--jobs', jobs, start_new_session=True,
                    program=('-c', signalled('fer_ros.tools.process_video', number)))
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err.splitlines()) == (128 + number, [
        f'interrupted: finished inputs and partial CSV files are in {out}; continue with --resume'])
    assert gone(process.pid, PATIENCE)


def test_ctrl_c_before_an_input_is_processed_is_one_line(tmp_path):
    program = """if True:
        import signal
        from fer_ros.tools import process_video
        process_video.search = lambda *_, **__: signal.raise_signal(signal.SIGINT)
        raise SystemExit(process_video.main())
    """
    process = start(tmp_path, program=('-c', program))
    assert process.communicate(timeout=PATIENCE) == ('', 'process_video: interrupted\n')
    assert process.returncode == 130


@pytest.mark.parametrize('jobs', [1, 2])
def test_a_decoder_that_no_computer_has_is_told_in_one_line(tmp_path, frames, jobs):
    if jobs > 1:
        pytest.importorskip('distributed')
    code, _, err = run(write_video(tmp_path / 'a.mp4', frames), '--output', tmp_path / 'out', '--jobs', jobs,
                       '--hwaccel', 'abacus')
    assert code == 1
    assert len(err) == 1 and err[0].startswith("process_video: video cannot be decoded with 'abacus': this FFmpeg ")


def test_workers_that_cannot_start_are_told_in_one_line(tmp_path, frames):
    pytest.importorskip('distributed')
    (tmp_path / 'sitecustomize.py').write_text("""if True:
    import os, sys
    if 'spawn_main' in ' '.join(sys.orig_argv):
        os._exit(1)
    """)
    code, _, err = run(write_video(tmp_path / 'a.mp4', frames), '--output', tmp_path / 'out', '--jobs', 2,
                       env=os.environ | {'PYTHONPATH': str(tmp_path)})
    assert code == 1
    assert len(err) == 1 and '2 worker processes cannot be started' in err[0] and '--jobs; 1 ' in err[0]


def test_sigterm_ends_all_processes(tmp_path, long_video):
    process = start(long_video, '--output', tmp_path / 'out', start_new_session=True)
    wait(lambda: rows(tmp_path / 'out' / 'long.partial.csv'), process)
    assert children(process.pid)
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    assert gone(process.pid, PATIENCE)


def test_a_process_that_dies_fails_one_input(tmp_path, frames, long_video):
    out = tmp_path / 'out'
    process = start(long_video, write_video(tmp_path / 'z.mp4', frames), '--output', out, '--jobs', 1)
    wait(lambda: (out / 'long.partial.csv').exists(), process)
    os.kill(spawned(process.pid)[0], signal.SIGKILL)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f'{long_video}: its process died with signal 9' in err
    assert (out / 'z.json').exists()
    assert not (out / 'long.csv').exists()


def test_parquet_is_written_beside_csv_and_resumed(tmp_path, frames):
    parquet = pytest.importorskip('pyarrow.parquet')
    video, out = write_video(tmp_path / 'a.mp4', frames), tmp_path / 'out'
    arguments = (video, '--output', out, '--resume')
    assert run(*arguments)[0] == 0
    code, text, _ = run(*arguments, '--format', 'parquet')
    assert code == 0 and text.startswith('0 of 1')
    assert {p.name for p in out.iterdir()} == {'a.csv', 'a.json', 'a.png', 'tables'}
    file = out / 'tables' / 'faces' / 'recording=a' / 'faces.parquet'
    written = parquet.ParquetFile(file).read().to_pylist()
    assert [(r['frame'], r['face_id'], f'{r["valence"]:.4f}') for r in written] == [
        (int(r['frame']), r['face_id'], f'{float(r["valence"]):.4f}') for r in rows(out / 'a.csv')]
    assert [r['recording'] for r in parquet.read_table(out / 'tables' / 'recordings.parquet').to_pylist()] == ['a']
    (item,) = find_inputs([str(video)])
    assert finished(item, out, Settings(format='parquet'))
    assert finished(item, out, Settings()), 'the CSV is there too'


def test_without_pyarrow_the_remedy_is_told_in_one_line(tmp_path, frames):
    (tmp_path / 'lib' / 'pyarrow').mkdir(parents=True)
    (tmp_path / 'lib' / 'pyarrow' / '__init__.py').write_text('raise ImportError("no such module")')
    environment = os.environ | {'PYTHONPATH': os.pathsep.join(filter(None, (
        str(tmp_path / 'lib'), os.environ.get('PYTHONPATH'))))}
    code, _, err = run(write_video(tmp_path / 'a.mp4', frames[:2]), '--format', 'parquet', '--output', tmp_path / 'out',
                       env=environment)
    assert (code, len(err)) == (1, 1)
    assert 'Parquet needs `pip install pyarrow==' in err[0]
    assert not (tmp_path / 'out').exists()


def test_full_disk_is_told_by_input_and_leaves_no_complete_output(tmp_path, frames):
    """The kernel refuses to let a file grow further, as a full disk does."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    video = write_video(tmp_path / 'a.mp4', frames)
    parquet = ('--format', 'parquet') if find_spec('pyarrow') else ()
    code, _, err = run(video, '--output', tmp_path / 'out', *parquet, preexec_fn=limit)
    assert code == 1
    assert '1 of 1 inputs failed or are damaged:' in err
    assert 'Traceback' not in '\n'.join(err)
    assert str(video) in err[-1]
    assert 'File too large' in err[-1]
    assert not [p for p in (tmp_path / 'out').iterdir() if '.partial' not in p.name]


def test_full_disk_leaves_no_half_video(tmp_path, frames):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
    out = tmp_path / 'out'
    code, _, err = run(write_video(tmp_path / 'a.mp4', frames * 3), '--annotated', '--output', out, preexec_fn=limit)
    assert code == 1
    assert 'Traceback' not in '\n'.join(err)
    assert {p.name for p in out.iterdir()} <= {'a.partial.csv'}


def test_mistyped_inputs_are_listed_at_the_end(tmp_path, frames):
    video = write_video(tmp_path / 'a.mp4', frames[:3])
    (tmp_path / 'gone.mp4').symlink_to('removed.mp4')
    code, out, err = run(tmp_path / 'b.mp4', video, tmp_path / 'gone.mp4', '--output', tmp_path / 'out')
    assert code == 1
    assert 'a: 0.3 s, 3 frames' in out
    assert err[0] == '2 of 3 inputs failed or are damaged:'
    assert f'{tmp_path / "b.mp4"} does not exist' in err[1]
    assert f'{tmp_path / "gone.mp4"} is a link to removed.mp4' in err[2]
    code, _, err = run(tmp_path / 'b.mp4', tmp_path / 'c.mp4', '--output', tmp_path / 'out2')
    assert (code, err[0], len(err)) == (1, '2 of 2 inputs failed or are damaged:', 3)


def test_files_that_are_left_out_are_named(tmp_path, frames):
    (tmp_path / 'in').mkdir()
    write_video(tmp_path / 'in' / 'a.mp4', frames[:2])
    (tmp_path / 'in' / 'notes.txt').write_text('x')
    code, out, _ = run(tmp_path / 'in', '--output', tmp_path / 'out')
    assert code == 0
    assert f'1 files are neither recordings nor photos: {tmp_path / "in" / "notes.txt"}' in out


@pytest.mark.parametrize('encoding', ['ascii', 'utf-8'])
def test_names_that_the_terminal_or_libraries_lack(tmp_path, frames, encoding):
    folder = tmp_path / os.fsdecode(b'\xfcber')
    folder.mkdir()
    names = [os.fsdecode(b'caf\xe9.mp4'), 'grün \u202e.mp4', '=cmd|calc.avi']
    for name in names:
        write_video(tmp_path / 'a.mp4', frames[:2]).rename(folder / name)
    (folder / os.fsdecode(b'caf\xe8.mp4')).write_text('no video')
    (folder / os.fsdecode(b'\xe8.txt')).write_text('')
    environment = os.environ | {'PYTHONIOENCODING': encoding}
    code, out, err = run(folder, '--annotated', '--output', folder / 'out', env=environment)
    assert code == 1
    assert 'Traceback' not in '\n'.join(err)
    assert {p.name for p in (folder / 'out').iterdir()} == {
        'tables', *(f'{name}.{suffix}' for name in ('caf_xE9', 'grün _', '_=cmd|calc')
                    for suffix in ('csv', 'json', 'mp4', 'png'))}
    assert len(out.splitlines()) == 4
    assert err[0] == '1 of 4 inputs failed or are damaged:'
    assert r'\xfcber/caf\xe8.mp4 cannot be opened as a video' in err[1]
    code, out, _ = run(folder, '--annotated', '--output', folder / 'out', '--resume', env=environment)
    assert '3 of 4 inputs are already finished' in out


def test_annotated_video_of_a_bag_whose_clock_was_set(tmp_path, frames):
    """From 1970 to 2023, for the camera alone and for the recorder too, and a pause of ten hours."""
    second = 1_000_000_000
    late = 1_700_000_000 * second
    stamps = [100 * second + i * second // 10 for i in range(5)] + [late + i * second // 10 for i in range(5)]
    pause = [i * second // 10 + (36_000 * second if i >= 5 else 0) for i in range(1, 11)]
    for name, times, recorded in (('camera', stamps, [late + i * second // 10 for i in range(10)]),
                                  ('both', stamps, stamps), ('pause', pause, pause)):
        messages = [(r, image_message(f, t)) for f, t, r in zip(frames, times, recorded, strict=True)]
        write_bag(tmp_path / name, {'/image': ('sensor_msgs/msg/Image', messages)})
    code, out, err = run(tmp_path / 'camera', tmp_path / 'both', tmp_path / 'pause', '--annotated', '--output',
                         tmp_path / 'out', '--jobs', 1)
    assert code == 1
    assert 'camera: 1.0 s, 10 frames' in out
    assert 'both: 1.0 s, 10 frames' in out
    assert [f'{tmp_path / name}: stamps leap once by +16999998' in line
            for name, line in zip(('camera', 'both'), err[1:], strict=True)] == [True, True]
    seconds = {}
    for name in ('camera', 'both', 'pause'):
        capture = cv2.VideoCapture(str(tmp_path / 'out' / f'{name}.mp4'))
        seconds[name] = capture.get(cv2.CAP_PROP_FRAME_COUNT) / capture.get(cv2.CAP_PROP_FPS)
    assert seconds['camera'] == seconds['both'] == pytest.approx(1.0)
    assert 50 < seconds['pause'] < 70


@pytest.mark.parametrize(('arguments', 'code', 'text'), [
    (['missing.mp4'], 1, 'missing.mp4'),
    (['{folder}'], 1, 'no recordings'),
    (['{video}', '--output', '{file}/out'], 1, 'file/out: Not a directory'),
    (['{video}', '--output', '{file}'], 1, '{file} is a file: give another --output'),
    (['{video}', '--output', '{folder}/out', '--model', '{file}'], 1, '{file}'),
    (['{video}', '--every', '0'], 2, '--every'),
    (['{video}', '--rotate', '45'], 2, '0, 90, 180, 270'),
    (['{video}', '--max-faces', '65'], 2, '--max-faces'),
])
def test_mistakes_are_told_in_one_line(tmp_path, frames, arguments, code, text):
    names = {'folder': tmp_path / 'empty', 'file': tmp_path / 'file', 'video': tmp_path / 'a.mp4'}
    names['folder'].mkdir()
    names['file'].write_text('')
    write_video(names['video'], frames[:2])
    result, _, err = run(*(a.format(**names) for a in arguments))
    assert result == code
    assert text.format(**names) in err[-1]
    assert 'Traceback' not in '\n'.join(err) and 'Errno' not in '\n'.join(err)
    assert len(err) == 1 or code == 2  # argparse shows the usage too
