"""What turns figures into the document; the figures themselves are no test's business."""

import json
import math

import numpy as np
import pytest

from benchmarks import cuda, detect_every, latency, machine, report, stages
from benchmarks.frames import GRIDS, frames

PARTS = {name: {'p50_ms': 1.0, 'p95_ms': 2.0} for name in (*stages.STAGES, 'all')}
CASES = [{'width': 640, 'height': 480, 'rate': rate, 'faces': faces, 'p50_ms': p50, 'p95_ms': 2 * p50,
          'p99_ms': 3 * p50, 'bare_p50_ms': 5.0, 'bare_p95_ms': 6.0, 'bare_p99_ms': 7.0, 'overhead_ratio': p50 / 5,
          'tail_ratio': 3.0, 'processed_fps': 70.0, 'dropped': 1, 'lost': 0, 'cpu_ms_per_frame': 9.0,
          'bare_cpu_ms_per_frame': 8.0} for rate, faces, p50 in ((30.0, 1, 6.0), (30.0, 8, 12.0), (0.0, 1, 8.0))]
FOUND = {
    'stages': {'threads': 2, 'stages': [{'width': 640, 'height': 480, 'faces': 1, 'stages': PARTS}],
               'recogniser': [{'way': way, 'threads': 1, 'batch': 1, 'p50_ms': p50, 'p95_ms': 9.0}
                              for way, p50 in (('ONNX Runtime alone', 4.0), ('fer_ros (onnxruntime)', 4.4))],
               'over_onnxruntime': 1.1, 'start_up_s': {'torch': 1.5}, 'floor': {'gflops': 100.0, 'gmac': 0.13,
                                                                               'floor_ms': 2.6}},
    'latency': {'cases': CASES},
    'flat': {'flat': {'minutes': 5.0, 'camera_fps': 200.0, 'processed_fps': 100.0, 'node_fps_alone': 100.0,
                      'dropped': 10, 'lost': 0, 'sent': 20, 'p50_ms': 8.0, 'p99_ms': 9.0, 'first_p50_ms': 8.0,
                      'last_p50_ms': 8.1, 'growth': 0.01, 'slope_ms_per_minute': 0.02,
                      'series': [{'second': i, 'p50_ms': 8.0, 'most_ms': 9.0} for i in range(5)]}},
    'delivery': [{'width': 640, 'height': 480, 'reliability': 'best effort', 'profile': True, 'sent': 150,
                  'arrived': 149, 'latency_median_ms': 1.5, 'latency_most_ms': 4.0}],
}


def test_goals_are_ratios_of_the_figures():
    values = [goal.value for goal in report.goals(FOUND)]
    assert values == [1.1, 1.2, 3.0, 2.0, 70.0, None, 1.01]
    assert [goal.reached for goal in report.goals(FOUND)] == [True, True, False, True, True, None, True]
    table = report.goal_table(report.goals(FOUND))
    assert '| at most 2.5 | 3.00 | **not reached** |' in table
    assert '| at least 30 frames/s | – | not measured |' in table


def test_document_is_filled_and_says_what_is_missing(tmp_path):
    missing = {program.name: 'it broke' for program in report.PROGRAMS if program.name not in FOUND}
    facts = {'when': '2026-01-01', 'command': 'make bench', 'minutes': 19.6, 'machine': machine.machine()}
    docs = tmp_path / 'benchmarks.md'
    for _ in range(2):  # into the one that is there, too
        report.write(FOUND, missing, facts, docs)
        text = docs.read_text()
        assert 'Not measured: it broke.' in text
        assert '2026-01-01, `make bench`, 20 minutes.' in text
        assert '0.130 G multiplications' in text
        assert 'The other 1.0 ms are spent in ROS: transferring an image' in text and 'callback takes 1.5 ms' in text
    assert sorted(path.name for path in (tmp_path / 'images').iterdir()) == [
        'benchmark_flat.png', 'benchmark_latency.png', 'benchmark_stages.png']


def test_a_benchmark_that_fails_is_named(tmp_path, monkeypatch, capsys):
    program = report.Program('cuda', 'no_such_benchmark')
    (tmp_path / 'cuda.json').write_text('{}')
    report.measure(program, tmp_path, quick=True)
    found, missing = report.load(tmp_path)
    assert 'cuda' not in found
    assert missing['cuda'].startswith('exit code 1: ')
    assert 'no_such_benchmark' in missing['cuda']
    assert 'cuda failed' in capsys.readouterr().err
    monkeypatch.delenv('FER2013_DIR', raising=False)
    report.measure(report.Program('accuracy', 'accuracy'), tmp_path, quick=True)
    assert report.load(tmp_path)[1]['accuracy'] == 'FER2013_DIR is not set'


def test_a_benchmark_that_hangs_is_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr(report, 'LIMIT', 0.5)
    monkeypatch.setattr(report, 'GRACE', 0.5)
    report.measure(report.Program('delivery', 'stages', ('--repeat', '1000000')), tmp_path, quick=False)
    assert report.load(tmp_path)[1]['delivery'] == 'it took longer than 0.5 s'


def test_shipped_recogniser_over_onnx_runtime():
    assert stages.over_onnxruntime(FOUND['stages']['recogniser']) == pytest.approx(1.1)
    assert stages.over_onnxruntime(FOUND['stages']['recogniser'][1:]) is None


def test_percentiles_are_milliseconds():
    assert latency.percentiles([0.001 * i for i in range(101)], 'bare_') == {
        'bare_p50_ms': 50.0, 'bare_p95_ms': 95.0, 'bare_p99_ms': 99.0}


def test_overlap():
    assert detect_every.iou((0, 0, 2, 2), (1, 0, 2, 2)) == pytest.approx(1 / 3)
    assert detect_every.iou((0, 0, 2, 2), (5, 5, 2, 2)) == 0


@pytest.mark.parametrize('faces', GRIDS)
def test_pictures_are_the_same_each_time(faces):
    once, again = frames(640, 480, faces, 3), frames(640, 480, faces, 3)
    assert [picture.shape for picture in once] == [(480, 640, 3)] * 3
    assert all((a == b).all() for a, b in zip(once, again, strict=True))
    assert (once[0] != once[1]).any()


def test_without_a_gpu_it_says_so(monkeypatch):
    import torch
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    result = cuda.measure(np.zeros((1, 48, 48), np.uint8), 1)
    assert cuda.table(result) == cuda.NO_CUDA
    json.dumps(result)


def test_table_of_a_gpu():
    row = {'precision': 'float16', 'labels_agree': 0.995, 'largest_difference': 0.0123,
           'batches': [{'batch': batch, 'p50_ms': math.sqrt(batch)} for batch in cuda.BATCHES]}
    text = cuda.table({'device': 'a GPU', 'faces': 3589, 'rows': [row]})
    assert '| float16 | 99.50 % | 0.01 | 1.00 |' in text


def test_crops_to_compare_with_are_varied_and_the_same_each_time():
    crops = cuda.portraits_varied(6)
    assert crops.shape == (6, 48, 48)
    assert (crops == cuda.portraits_varied(6)).all()
    assert len({crop.tobytes() for crop in crops}) == 6
