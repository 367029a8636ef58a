from fer_ros.nodes.live_table import PERIOD, Table
from fer_ros.results.faces import FaceEmotion, FacesFrame


def face(face_id, valence):
    return FaceEmotion(face_id, (0.0, 0.0, 9.0, 9.0), (0.0,) * 3 + (1.0,) + (0.0,) * 3, 'happy', 0.9, valence, valence)


def test_before_the_first_frame():
    assert Table().lines(0.0) == ['waiting for the first frame']


def test_faces_rate_and_latency():
    table = Table()
    for i in range(100):
        table.add(FacesFrame(1, 'camera', 640, 480, (face('fa', 0.5), face('fb', -1.0)), 'fb'), i / 10, 0.01 * (i % 5))
    header, first, second, last = table.lines(9.9)
    assert header.split() == ['face', 'emotion', 'confidence', 'valence', '−1', '0', '+1']
    assert first.split()[:4] == ['fa', 'happy', '0.90', '+0.50']
    assert second.split()[:5] == ['*', 'fb', 'happy', '0.90', '-1.00']
    assert first.endswith('          │█████     ')
    assert second.endswith('██████████│          ')
    assert last == f'  {21 / PERIOD:.1f} frames/s, latency 20 ms (max 40 ms)'


def test_when_nothing_comes_any_more_no_face_is_shown():
    table = Table()
    table.add(FacesFrame(1, 'camera', 640, 480, (face('fa', 0.5),), 'fa'), 0.0, None)
    assert table.lines(1.0)[1].startswith('* fa')
    assert table.lines(PERIOD + 0.1)[1:] == ['  no face', '  0.0 frames/s']
