"""Recordings in parts: where they are cut, and that the parts joined are the recording in one process, to the bit."""

import csv
import io
import json
import pickle
import zipfile
from contextlib import closing
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from reading import frames_of
from videos import clip_frames, image_message, rotate, write_bag, write_video

from fer_ros.media.pyav import pyav
from fer_ros.perception.image_problems import Look
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
from fer_ros.perception.seen_frame import SeenFace, SeenFrame
from fer_ros.recordings import part_task
from fer_ros.recordings.frame_readers import open_reader
from fer_ros.recordings.inputs import find_inputs
from fer_ros.recordings.part_results import FrameRecord, PartFileError, PartResult, from_bytes, to_bytes
from fer_ros.recordings.part_task import Order, analyse
from fer_ros.recordings.parts import Part
from fer_ros.recordings.processing import Interrupted, Settings, part_store, process
from fer_ros.recordings.recording_run import RecordingRun

S = 1_000_000_000
PART = 1.0


@pytest.fixture(scope='module')
def pipelines():
    """By detector."""
    with (FacePipeline(PipelineSettings(precision='float32')) as search,
          FacePipeline(PipelineSettings(precision='float32', detector='full')) as full):
        shared = {'search': search, 'full': full}
        with pytest.MonkeyPatch.context() as patch:  # creating more of them would take seconds
            patch.setattr(part_task, '_analyser', lambda settings: shared[settings.detector].analyser)
            yield shared


@pytest.fixture(scope='module')
def frames():
    """Both faces, one that leaves, another shot, and a still image; 320×240, 10 frames/s, 4 s."""
    clip = [frame[::2, ::2].copy() for frame in (*clip_frames(6.8, 8.4), *clip_frames(1.0, 1.4))]
    return [*clip, *[clip[-1]] * 20]


@pytest.fixture(scope='module')
def video(tmp_path_factory, frames):
    return write_video(tmp_path_factory.mktemp('parts') / 'clip.mp4', frames)


@pytest.fixture(scope='module')
def short(tmp_path_factory, frames):
    return write_video(tmp_path_factory.mktemp('short') / 'clip.mp4', frames[:28])


def coded(path, frames, parameters, rate=10):
    """A video of H.264 whose frames are not stored in the order in which they are shown."""
    with pyav().open(str(path), 'w') as file:
        stream = file.add_stream('libx264', rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.options = 'yuv420p', {'x264-params': parameters}
        for number, frame in enumerate(frames):
            picture = pyav().VideoFrame.from_ndarray(frame, 'bgr24')
            picture.pts, picture.time_base = number, Fraction(1, rate)
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    return path


def outputs(folder):
    """The contents of all files, but how long it took."""
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for name in found:
        if name.endswith('.json'):
            found[name] = {k: v for k, v in json.loads(found[name]).items()
                           if k not in ('processing_s', 'frames_per_second')}
    return found


def in_parts(item, folder, settings, order=reversed):
    """As a cluster would: each part by itself, out of order, through bytes."""
    with closing(RecordingRun(item, folder, settings, resume=False)) as run:
        for part in order(run.parts):
            answer = analyse(pickle.loads(pickle.dumps(Order(item, run.size, part, settings, run.key(part)))))
            assert not answer.error
            run.keep(part, answer.data)
            run.join(lambda: False)
        assert run.complete
        return run.finish(), len(run.parts)


def test_parts_joined_are_the_recording_in_one_process(tmp_path, pipelines, video):
    (item,) = find_inputs([str(video)])
    settings = Settings(part_s=PART)
    one = process(item, tmp_path / 'one', settings, pipelines['search'])
    joined, parts = in_parts(item, tmp_path / 'parts', settings)
    assert parts == 3
    assert outputs(tmp_path / 'parts') == outputs(tmp_path / 'one')
    assert joined['cuts'] == one['cuts'] == 1 and one['frames'] == 40
    rows = list(csv.DictReader((tmp_path / 'one' / 'clip.csv').open()))
    assert len({row['frame'] for row in rows}) == 40, 'faces are known at the first frame of each part'
    assert len({row['face_id'] for row in rows}) == 3, 'ids go on at the seams'


@pytest.mark.parametrize('change', [{'every': 3, 'annotated': True}, {'seconds': 1.6, 'rotate': 180}])
def test_settings_hold_in_parts_as_in_one_process(tmp_path, pipelines, short, change):
    (item,) = find_inputs([str(short)])
    settings = Settings(part_s=PART, detector='full', **change)
    one = process(item, tmp_path / 'one', settings, pipelines['full'])
    assert in_parts(item, tmp_path / 'parts', settings)[1] == 2
    assert outputs(tmp_path / 'parts') == outputs(tmp_path / 'one')
    assert one['frames'] == (10 if 'every' in change else 16)
    rows = csv.DictReader((tmp_path / 'one' / 'clip.csv').open())
    assert all(int(row['frame']) % change.get('every', 1) == 0 for row in rows)


@pytest.mark.parametrize('every', [1, 2])
def test_a_bag_in_parts(tmp_path, pipelines, frames, every):
    start = 1_700_000_000 * S
    messages = [(start + i * S // 10, image_message(frame, start + i * S // 10)) for i, frame in enumerate(frames[:24])]
    messages.insert(13, messages[12])  # a copy, which is left out
    (item,) = find_inputs([str(write_bag(tmp_path / 'bag', {'/image': ('sensor_msgs/msg/Image', messages)}))])
    settings = Settings(part_s=PART, detector='full', every=every)
    one = process(item, tmp_path / 'one', settings, pipelines['full'])
    assert in_parts(item, tmp_path / 'parts', settings)[1] == 2
    assert outputs(tmp_path / 'parts') == outputs(tmp_path / 'one')
    assert ('1 images were skipped' in one['warning']) == (every == 1)
    assert one['frames'] == (24 if every == 1 else 13)


def test_an_interrupted_recording_goes_on_after_its_finished_parts(tmp_path, pipelines, short):
    (item,), pipeline = find_inputs([str(short)]), pipelines['full']
    settings, out = Settings(part_s=PART, detector='full', annotated=True), tmp_path / 'out'
    process(item, tmp_path / 'one', settings, pipeline)

    def store(resume):
        return part_store(item, out, settings, resume)
    with pytest.raises(Interrupted):
        process(item, out, settings, pipeline, lambda frames, share: frames == 20, store=store(False))
    kept = sorted((out / '.parts' / 'clip').iterdir())
    assert [path.name for path in kept] == ['000000.npz']
    other = part_store(item, out, replace(settings, max_faces=1), True)
    with closing(open_reader(item)) as reader:
        part = reader.parts(PART)[0]
    assert store(True).load(part) is not None
    assert other.load(part) is None, 'of other settings'
    analysed, analyse_frame = [], pipeline.analyser.analyse
    pipeline.analyser.analyse = lambda image, stamp: analysed.append(stamp) or analyse_frame(image, stamp)
    try:
        process(item, out, settings, pipeline, store=store(True))
    finally:
        del pipeline.analyser.analyse
    assert len(analysed) == 28 - 12
    assert outputs(out) == outputs(tmp_path / 'one')
    assert not (out / '.parts').exists()


def test_a_run_that_does_not_resume_removes_the_parts_of_the_last_one(tmp_path, video):
    (item,) = find_inputs([str(video)])
    store = part_store(item, tmp_path, Settings(), True)
    store.save(Part(0), to_bytes(PartResult(0), store.key(Part(0))))
    assert store.load(Part(0)) is not None and store.load(Part(0, end_ns=1)) is None
    file = next(path for path in tmp_path.rglob('*') if path.is_file())
    file.write_bytes(file.read_bytes()[:-100])
    assert store.load(Part(0)) is None, 'a damaged part is made again'
    part_store(item, tmp_path, Settings(), False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(('name', 'parameters'), [
    ('closed.mp4', 'keyint=10:min-keyint=10:scenecut=0:bframes=3'),
    ('open.mp4', 'keyint=10:min-keyint=10:scenecut=0:bframes=3:open-gop=1'),
    ('open.mkv', 'keyint=10:min-keyint=10:scenecut=0:bframes=3:open-gop=1'), ('rotated.mp4', '')])
def test_parts_have_every_frame_once(tmp_path, frames, name, parameters):
    path = coded(tmp_path / name, frames, parameters) if parameters else write_video(tmp_path / name, frames)
    if not parameters:
        rotate(path, 90)
    (item,) = find_inputs([str(path)])
    for every in (1, 4):
        with closing(open_reader(item)) as reader:
            whole = [(frame.index, frame.time_ns, frame.image) for frame in frames_of(reader, item.source, every)[0]]
            parts = reader.parts(PART, every=every)
        assert len(parts) >= 3
        read, base, first_ns = [], 0, None
        for part in parts:
            with closing(open_reader(item)) as reader:
                found = list(reader.part(part, every))
                report = reader.report()
            before = [frame for frame in found if frame.before]
            assert bool(before) == (part.number > 0)
            assert all(part.begin_ns - S <= frame.stamp_ns < part.begin_ns for frame in before)
            own = [frame for frame in found if not frame.before]
            first_ns = own[0].stamp_ns if first_ns is None else first_ns
            read += [(base + frame.index, frame.stamp_ns - first_ns, frame.image) for frame in own]
            assert report['count'] == part.frames and base == part.first
            base += report['count']
        assert [each[:2] for each in read] == [each[:2] for each in whole]
        assert all(np.array_equal(a[2], b[2]) for a, b in zip(read, whole, strict=True))


def test_what_is_not_cut(tmp_path, frames):
    one_key = coded(tmp_path / 'a.mp4', frames, 'keyint=infinite:scenecut=0')
    no_index = coded(tmp_path / 'b.ts', frames, 'keyint=10:min-keyint=10')
    for path in (one_key, no_index):
        (item,) = find_inputs([str(path)])
        with closing(open_reader(item)) as reader:
            assert len(reader.parts(PART)) == 1
            assert len(frames_of(reader, item.source)[0]) == 40
    (item,) = find_inputs([str(write_video(tmp_path / 'c.mp4', frames))])
    with closing(open_reader(item)) as reader:
        assert len(reader.parts(PART)) == 3
        assert len(reader.parts(4.0)) == 1, 'no short part at the end'
        assert len(reader.parts(60.0)) == 1


def test_the_record_comes_back_from_its_file_to_the_bit():
    rng = np.random.default_rng(0)
    seen = SeenFrame(640, 480, (SeenFace((1 / 3, -2.5, 30.1, 40.7), 0.9, 0.1, 0.77), SeenFace((0, 0, 1, 1), 1, -1, 0)),
                     rng.random((2, 7), np.float32))
    carried = SeenFrame(640, 480, (SeenFace((1 / 7, -2.5, 30.1, 40.7), 0.9, 0.1, 0.77, 1),),
                        rng.random((1, 7), np.float32), searched=False)
    frames = (FrameRecord(0, 5, 2**62, True, seen, Look(100.0, 0.1)), FrameRecord(2, 7, 8, error='it failed'),
              FrameRecord(4, 9, 10, seen=carried, look=Look(1 / 3, 0.0, 50.0, 0.2)),
              FrameRecord(6, 11, 12, seen=SeenFrame(640, 480)))
    data = to_bytes(PartResult(3, frames, {'count': 7, 'why': 'é'}, 'here'), 'key')
    result, key = from_bytes(data)
    assert (result.number, result.report, result.machine, key) == (3, {'count': 7, 'why': 'é'}, 'here', 'key')
    for a, b in zip(result.frames, frames, strict=True):
        assert replace(a, seen=None).__dict__ == replace(b, seen=None).__dict__
        if b.seen is None:
            assert a.seen is None
            continue
        assert (a.seen.width, a.seen.height, a.seen.faces, a.seen.searched) == (
            b.seen.width, b.seen.height, b.seen.faces, b.seen.searched)
        assert a.seen.probabilities.dtype == np.float32
        assert np.array_equal(a.seen.probabilities, b.seen.probabilities)
    assert from_bytes(to_bytes(PartResult(0)))[0].frames == ()


def test_files_that_are_no_parts_are_refused_and_nothing_in_them_is_run():
    pickled = io.BytesIO()
    np.savez(pickled, head=np.array([{'version': 1}], object))
    other = io.BytesIO()
    with zipfile.ZipFile(other, 'w') as file:
        file.writestr('a.txt', 'x')
    for data in (b'', b'x' * 100, pickled.getvalue(), other.getvalue(), to_bytes(PartResult(0))[:200]):
        with pytest.raises(PartFileError):
            from_bytes(data)
