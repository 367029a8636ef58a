"""One recording through the real pipeline, and what is written for it."""

import csv
import json
from contextlib import closing

import av
import cv2
import numpy as np
import pytest
from videos import (
    clip_frames,
    compressed_message,
    cut,
    image_message,
    index_first,
    rotate,
    vary_rate,
    write_bag,
    write_video,
)

from fer_ros.drawing.valence_plot import ValencePlot
from fer_ros.emotions import EMOTIONS
from fer_ros.media.built_in_clip import portraits
from fer_ros.perception import PipelineError
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
from fer_ros.recordings.inputs import InputError, find_inputs
from fer_ros.recordings.output_files import QUICK_WIDTH, OutputFiles
from fer_ros.recordings.processing import Interrupted, Settings, create_pipeline, finished, process
from fer_ros.recordings.summary import Summary
from fer_ros.results.faces import FaceEmotion, FacesFrame
from fer_ros.results.faces_csv import COLUMNS

S = 1_000_000_000


@pytest.fixture(scope='module')
def pipeline():
    with FacePipeline(PipelineSettings()) as pipeline:
        yield pipeline


@pytest.fixture(scope='module')
def clip():
    """Two faces for 2 s, of which one leaves; then 1.5 s of the other alone; 10 frames/s."""
    return clip_frames(6.0, 9.5)


def run(path, folder, pipeline, **kwargs):
    (item,) = find_inputs([str(path)])
    return process(item, folder, Settings(**kwargs), pipeline)


def test_the_pipeline_of_a_run_is_as_its_settings_say(shipped_model):
    with create_pipeline(Settings(model=str(shipped_model), device='cpu', runtime='torch', detector='full',
                                  max_faces=3)) as pipeline:
        assert pipeline.recognizer.runtime == 'torch'
        assert (pipeline.settings.detector, pipeline.settings.max_faces) == ('full', 3)
    for settings, said in ((Settings(max_faces=0), 'max_faces must be 1 to 64, got 0'),
                           (Settings(rotate=45), 'rotate must be one of 0, 90, 180, 270, got 45'),
                           (Settings(runtime='tpu'), "unknown runtime 'tpu'"),
                           (Settings(model='/none.safetensors'), 'no weights file at /none.safetensors')):
        with pytest.raises(PipelineError, match=said):
            create_pipeline(settings)


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope='module')
def results(tmp_path_factory, pipeline, clip):
    folder = tmp_path_factory.mktemp('results')
    summary = run(write_video(folder / 'clip.mp4', clip), folder / 'out', pipeline, annotated=True)
    return folder / 'out', summary


def test_rows_ids_times_and_signs(results):
    folder, _ = results
    rows = rows_of(folder / 'clip.csv')
    assert tuple(rows[0]) == COLUMNS
    by_face = {i: [r for r in rows if r['face_id'] == i] for i in {r['face_id'] for r in rows}}
    assert set(by_face) == {'f1', 'f2'}
    left = {i: np.mean([float(r['x']) for r in face[:10]]) for i, face in by_face.items()}
    smiling, sober = sorted(by_face.values(), key=lambda face: float(face[-1]['time_s']))
    assert len(left) == 2
    assert 1.5 < float(smiling[-1]['time_s']) < 2.6  # it leaves
    assert float(sober[-1]['time_s']) == 3.4
    for face in (smiling, sober):
        for row in face:
            assert float(row['time_s']) == pytest.approx(int(row['frame']) / 10, abs=1e-3)
            assert sum(float(row[e]) for e in EMOTIONS) == pytest.approx(1, abs=1e-3)
            assert row['emotion'] == max(EMOTIONS, key=lambda e: float(row[e]))
    mean = [np.mean([float(r['valence']) for r in face]) for face in (smiling, sober)]
    assert mean[0] > 0.05
    assert mean[1] < mean[0] - 0.15
    first = [float(v) for v in (rows[0]['x'], rows[0]['y'], rows[0]['width'], rows[0]['height'])]
    assert 50 < first[2] < 250
    assert 0 < first[0] < 640 - first[2]


def test_summary_tells_what_the_rows_hold(results):
    folder, summary = results
    assert json.loads((folder / 'clip.json').read_text()) == summary
    rows = rows_of(folder / 'clip.csv')
    assert summary['frames'] == 35
    assert summary['duration_s'] == pytest.approx(3.5, abs=0.01)
    assert summary['faces_seen'] == 2
    assert summary['face_seconds'] == pytest.approx(len(rows) / 10, abs=0.01)
    assert summary['mean_valence'] == pytest.approx(np.mean([float(r['valence']) for r in rows]), abs=0.01)
    for emotion in EMOTIONS:
        share = sum(r['emotion'] == emotion for r in rows) / len(rows)
        assert summary['emotions'][emotion] == pytest.approx(share, abs=0.01)
    assert sum(summary['groups'].values()) == pytest.approx(1, abs=1e-3)
    assert summary['frames_per_second'] == pytest.approx(35 / summary['processing_s'], rel=0.05)
    assert summary['warning'] == ''
    assert summary['hints'] == []


def test_picture_shows_the_rows(results):
    folder, summary = results
    picture = cv2.imread(str(folder / 'clip.png'))
    plot = ValencePlot(1280, 480)
    from fer_ros.drawing.colours import FaceColours
    colours = FaceColours()(['f1', 'f2'])
    span = summary['duration_s'] - 0.1
    rows = [r for r in rows_of(folder / 'clip.csv') if 0.5 < float(r['time_s']) < 3]
    drawn = {'f1': [], 'f2': []}
    for row in rows:
        x, y = plot.area.x(float(row['time_s']), span), plot.area.y(float(row['valence']))
        near = picture[round(y) - 2:round(y) + 3, round(x) - 1:round(x) + 2].astype(int)
        drawn[row['face_id']].append((np.abs(near - colours[row['face_id']]).sum(axis=2) < 60).any())
    assert all(drawn['f1'])
    assert np.mean(drawn['f2'] or [True]) > 0.5, 'the second line is dashed'


def test_for_somebody_who_waits_the_annotated_video_is_smaller_and_its_boxes_fit(tmp_path):
    face = FaceEmotion('f1', (800.0, 400.0, 200.0, 200.0), (0, 0, 0, 1, 0, 0, 0), 'happy', 1.0, 1.0, 1.0)
    sizes, edges = [], []
    for quick in (False, True):
        with closing(OutputFiles(tmp_path / str(quick), 'a', 10.0, quick=quick)) as outputs:
            for number in range(3):
                outputs.add(number, np.zeros((720, 1280, 3), np.uint8),
                            FacesFrame(number * 10**8, '', 1280, 720, (face,)))
            outputs.complete({})
        with av.open(str(tmp_path / str(quick) / 'a.mp4')) as container:
            frame = next(container.decode(video=0)).to_ndarray(format='bgr24')
        sizes.append(frame.shape[1])
        scale = frame.shape[1] / 1280
        row = frame[round(500 * scale), :, :].max(axis=1)  # through the middle of the face
        edges.append((np.flatnonzero(row > 60)[[0, -1]] / scale).round().tolist())
    assert sizes == [1280, QUICK_WIDTH]
    assert edges[0] == pytest.approx([800, 1000], abs=6) and edges[1] == pytest.approx(edges[0], abs=6)


def test_for_somebody_who_waits_the_plot_moves_ten_times_per_second(tmp_path, monkeypatch):
    drawn = []
    rolling = ValencePlot.rolling

    def counted(self, history, now_ns, *rest):
        drawn.append(now_ns)
        return rolling(self, history, now_ns, *rest)
    monkeypatch.setattr(ValencePlot, 'rolling', counted)
    with closing(OutputFiles(tmp_path, 'a', 30.0, quick=True)) as outputs:
        stamps = [round(number / 30 * S) for number in range(30)]
        for number, stamp in enumerate(stamps):
            outputs.add(number, np.zeros((120, 160, 3), np.uint8), FacesFrame(stamp, '', 160, 120, ()))
    assert drawn == stamps[::3]


def test_a_recording_that_is_ended_early_has_what_was_told_so_far(tmp_path, pipeline, clip):
    """Although later frames have been analysed already."""
    (item,) = find_inputs([str(write_video(tmp_path / 'clip.mp4', clip))])
    seen = []
    summary = process(item, tmp_path, Settings(annotated=True), pipeline, lambda frames, share: frames == 12,
                      lambda image, frame: seen.append(frame.stamp_ns), complete_interrupted=True)
    assert summary['frames'] == len(seen) == 12
    assert {row['frame'] for row in rows_of(tmp_path / 'clip.csv')} == {str(number) for number in range(12)}


def test_drawing_changes_no_row_even_after_a_recording_that_failed_while_it_was_drawn(tmp_path, pipeline, clip):
    (item,) = find_inputs([str(write_video(tmp_path / 'clip.mp4', clip))])

    def fail(image, frame):
        raise ArithmeticError('of the watcher')
    with pytest.raises(ArithmeticError, match='of the watcher'):
        process(item, tmp_path / 'a', Settings(), pipeline, watch=fail)
    process(item, tmp_path / 'b', Settings(), pipeline)
    process(item, tmp_path / 'c', Settings(annotated=True), pipeline)
    assert rows_of(tmp_path / 'b' / 'clip.csv') == rows_of(tmp_path / 'c' / 'clip.csv')


def test_annotated_video_has_each_frame_and_the_line_under_it(results, clip):
    folder, _ = results
    capture = cv2.VideoCapture(str(folder / 'clip.mp4'))
    frames = []
    while (frame := capture.read()[1]) is not None:
        frames.append(frame)
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    assert len(frames) == 35
    height, width = clip[0].shape[:2]
    assert frames[0].shape[1] == width
    assert frames[0].shape[0] >= height + 150
    below = frames[30][height:, :, :]
    assert (below > 235).mean() > 0.4  # the plot is light, the clip dark
    assert np.abs(frames[5][:height].astype(int) - clip[5]).mean() < 12  # mostly the frame itself
    assert not np.array_equal(frames[5][height:], frames[30][height:])


def test_times_of_a_variable_rate_reach_rows_summary_and_video(tmp_path, pipeline, clip):
    path = write_video(tmp_path / 'a.mp4', clip[:12])
    durations = [100, 300, 50, 50, 700, 100, 100, 100, 500, 100, 100, 100]
    vary_rate(path, durations)
    summary = run(path, tmp_path, pipeline, annotated=False)
    times = sorted({float(r['time_s']) for r in rows_of(tmp_path / 'a.csv')})
    assert times == pytest.approx([sum(durations[:i]) / 1000 for i in range(12)], abs=2e-3)
    assert summary['duration_s'] == pytest.approx(2.3, abs=0.01)
    run(path, tmp_path / 'out', pipeline, annotated=True)
    capture = cv2.VideoCapture(str(tmp_path / 'out' / 'a.mp4'))
    length = capture.get(cv2.CAP_PROP_FRAME_COUNT) / capture.get(cv2.CAP_PROP_FPS)
    assert length == pytest.approx(2.3, abs=2.5 / capture.get(cv2.CAP_PROP_FPS))


@pytest.mark.parametrize('kind', ['padded', 'compressed'])
def test_bags_give_the_same_faces(tmp_path, pipeline, clip, kind):
    make = {'padded': lambda f, t: image_message(f, t, padding=13), 'compressed': compressed_message}[kind]
    kind_name = 'sensor_msgs/msg/Image' if kind == 'padded' else 'sensor_msgs/msg/CompressedImage'
    start = 1_700_000_000 * S
    messages = [(start + i * S // 10, make(frame, start + i * S // 10)) for i, frame in enumerate(clip[:10])]
    summary = run(write_bag(tmp_path / 'bag', {'/camera/image': (kind_name, messages)}), tmp_path, pipeline)
    assert summary['frames'] == 10
    assert summary['faces_seen'] == 2
    rows = rows_of(tmp_path / 'bag.csv')
    assert sorted({float(r['time_s']) for r in rows}) == [i / 10 for i in range(10)]
    assert summary['faces']['f1']['mean_valence'] != summary['faces']['f2']['mean_valence']


def test_a_bag_of_12_bits_gives_the_faces_and_one_of_depth_says_why_not(tmp_path, pipeline, clip):
    def messages(encoding):
        grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).astype('<u2') * 16 for frame in clip[:8]]
        return [(S + i * S // 10, image_message(values.view(np.uint8), S + i * S // 10, encoding=encoding, pixel=2))
                for i, values in enumerate(grey)]
    colour = run(write_video(tmp_path / 'colour.mp4', clip[:8]), tmp_path, pipeline)
    bag = write_bag(tmp_path / 'infrared', {'/ir': ('sensor_msgs/msg/Image', messages('mono16'))})
    summary = run(bag, tmp_path, pipeline)
    assert summary['warning'] == '' and len(summary['faces']) == 2
    valences = [sorted(face['mean_valence'] for face in read['faces'].values()) for read in (summary, colour)]
    assert valences[0] == pytest.approx(valences[1], abs=0.15)
    bag = write_bag(tmp_path / 'depth', {'/depth': ('sensor_msgs/msg/Image', messages('16UC1'))})
    with pytest.raises(InputError, match=r'none of the 8 images in .* could be decoded: .*use the colour topic'):
        run(bag, tmp_path, pipeline)


def test_every_max_faces_and_seconds_bound_the_work(tmp_path, pipeline, clip):
    path = write_video(tmp_path / 'a.mp4', clip)
    pipeline.apply(PipelineSettings(max_faces=1))
    try:
        summary = run(path, tmp_path, pipeline, every=5, seconds=1.6, max_faces=1)
    finally:
        pipeline.apply(PipelineSettings())
    rows = rows_of(tmp_path / 'a.csv')
    assert [int(r['frame']) for r in rows] == [0, 5, 10, 15]
    assert summary['frames'] == 4
    assert max(len([r for r in rows if r['frame'] == n]) for n in ('0', '5', '10', '15')) == 1


def test_a_turned_recording_gives_the_faces_of_the_upright_one(tmp_path, pipeline, clip):
    upright = run(write_video(tmp_path / 'a.mp4', clip[:8]), tmp_path, pipeline)
    summary = run(write_video(tmp_path / 'b.mp4', [np.rot90(frame).copy() for frame in clip[:8]]), tmp_path, pipeline,
                  rotate=90, annotated=True)
    boxes = [sorted((int(row['frame']), *(float(row[name]) for name in ('x', 'y', 'width', 'height')))
                    for row in rows_of(tmp_path / f'{name}.csv')) for name in 'ab']
    assert np.allclose(*boxes, atol=15)  # compressed in another direction
    assert len(summary['faces']) == len(upright['faces']) == 2
    capture = cv2.VideoCapture(str(tmp_path / 'b.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == 640


def test_a_recording_on_its_side_is_told_with_the_angle(tmp_path, pipeline):
    frames = [np.rot90(portraits()['astronaut']).copy()] * 15
    summary = run(write_video(tmp_path / 'a.mp4', frames), tmp_path, pipeline)
    assert summary['hints'] == ['faces stand on their side: set rotate to 90']
    assert summary['warning'] == '', 'it is no failure'
    summary = run(write_video(tmp_path / 'b.mp4', frames), tmp_path, pipeline, rotate=90)
    assert summary['hints'] == []


def test_rotation_comes_on_top_of_what_the_video_says_of_its_own(tmp_path, pipeline, clip):
    path = write_video(tmp_path / 'a.mp4', clip[:3])  # upright in the file
    rotate(path, 90)  # but shown on its side
    assert run(path, tmp_path / 'out', pipeline)['settings']['rotate'] == 0
    summary = run(path, tmp_path / 'out', pipeline, rotate=270)
    assert summary['settings']['rotate'] == 270
    assert [row['face_id'] for row in rows_of(tmp_path / 'out' / 'a.csv')] == ['f1', 'f2'] * 3


def test_truncated_video_keeps_what_could_be_read_and_says_so(tmp_path, pipeline, clip):
    path = write_video(tmp_path / 'a.mp4', clip)
    index_first(path)
    cut(path, 0.5)
    summary = run(path, tmp_path / 'out', pipeline)
    assert 'of 35 frames' in summary['warning']
    assert 5 < summary['frames'] < 34
    assert len({r['frame'] for r in rows_of(tmp_path / 'out' / 'a.csv')}) == summary['frames']


def test_a_face_that_comes_back_is_a_new_track_and_both_are_in_the_summary(tmp_path, pipeline):
    frames = clip_frames(1, 2) + [np.full((480, 640, 3), 100, np.uint8)] * 15 + clip_frames(1, 2)
    summary = run(write_video(tmp_path / 'a.mp4', frames), tmp_path, pipeline)
    assert list(summary['faces']) == ['f1', 'f2']
    assert summary['faces']['f2']['first_s'] == pytest.approx(2.5, abs=0.11)


def test_no_face_at_all(tmp_path, pipeline):
    summary = run(write_video(tmp_path / 'a.mp4', [np.full((240, 320, 3), 100, np.uint8)] * 5), tmp_path, pipeline)
    assert summary['faces_seen'] == 0
    assert summary['mean_valence'] is None
    assert rows_of(tmp_path / 'a.csv') == []
    assert (tmp_path / 'a.png').exists()


def test_interrupted_work_is_kept_under_partial_names_and_is_not_finished(tmp_path, pipeline, clip):
    (item,) = find_inputs([str(write_video(tmp_path / 'a.mp4', clip))])
    settings, out = Settings(annotated=True), tmp_path / 'out'
    with pytest.raises(Interrupted):
        process(item, out, settings, pipeline, report=lambda frames, share: frames == 6)
    assert {p.name for p in out.iterdir()} == {'a.partial.csv', 'a.partial.mp4'}
    assert len({r['frame'] for r in rows_of(out / 'a.partial.csv')}) == 6
    assert cv2.VideoCapture(str(out / 'a.partial.mp4')).get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert not finished(item, out, settings)
    process(item, out, settings, pipeline)
    assert {p.name for p in out.iterdir()} == {'a.csv', 'a.json', 'a.mp4', 'a.png'}
    assert finished(item, out, settings)
    assert not finished(item, out, Settings(annotated=True, every=2))
    assert not finished(item, out, Settings(annotated=True, rotate=180))
    with open(item.source, 'ab') as file:
        file.write(b'more')
    assert not finished(item, out, settings)


def test_outputs_of_another_input_are_not_replaced(tmp_path, pipeline, clip):
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / 'clip.mp4', clip[:2])
    run(tmp_path / 'a' / 'clip.mp4', tmp_path / 'out', pipeline)
    with pytest.raises(InputError, match='another --output'):
        run(tmp_path / 'b' / 'clip.mp4', tmp_path / 'out', pipeline)
    run(tmp_path / 'a' / 'clip.mp4', tmp_path / 'out', pipeline)


def face(face_id, valence, emotion='happy'):
    probabilities = tuple(float(e == emotion) for e in EMOTIONS)
    return FaceEmotion(face_id, (0, 0, 1, 1), probabilities, emotion, 1.0, valence, valence)


def test_shares_are_over_time_not_frames():
    summary = Summary(min_life=0.5)
    for time_s, emotion, valence in [(0, 'happy', 1), (0.9, 'sad', -1), (1.0, 'sad', -1), (1.1, 'surprised', 0)]:
        summary.add(time_s, [face('f1', valence, emotion)])
    result = summary.result()
    assert result['duration_s'] == pytest.approx(1.2)
    assert result['emotions']['happy'] == pytest.approx(0.9 / 1.2, abs=1e-3)
    assert result['emotions']['sad'] == pytest.approx(0.2 / 1.2, abs=1e-3)
    assert result['mean_valence'] == pytest.approx(0.7 / 1.2, abs=1e-3)
    assert result['groups']['positive'] == pytest.approx(0.9 / 1.2, abs=1e-3)


def test_short_lived_faces_are_counted_apart():
    summary = Summary(min_life=0.5)
    for i in range(11):
        summary.add(i / 10, [face('f1', 0.5)] + ([face('f2', 0)] if i < 3 else []))
    result = summary.result()
    assert (result['faces_seen'], result['faces_seen_shortly']) == (1, 1)
    assert list(result['faces']) == ['f1']


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match='file'):
        OutputFiles(tmp_path / 'file' / 'out', 'a')
