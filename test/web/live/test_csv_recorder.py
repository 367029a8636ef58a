import csv
import io

from dashboard_harness import face

from fer_ros.results.faces import FacesFrame
from fer_ros.results.faces_csv import COLUMNS
from fer_ros.web.live.csv_recorder import UNDO, CsvRecorder


def frame(stamp_ns: int, *faces) -> FacesFrame:
    return FacesFrame(stamp_ns, 'camera', 640, 480, faces)


def test_what_comes_between_start_and_stop_is_in_the_file():
    now = [0.0]
    recorder = CsvRecorder(1 << 20, lambda: now[0])
    recorder.add(frame(1))
    assert recorder.csv() is None and recorder.state()['state'] == 'empty'
    assert recorder.start()
    recorder.add(frame(1_500_000_000, face('fa', 0.9), face('fb', 0.1)))
    recorder.add(frame(1_600_000_000))
    recorder.add(frame(1_700_000_000, face('fa', 0.8)))
    now[0] = 2.5
    recorder.stop()
    now[0] = 9.0
    recorder.add(frame(1_800_000_000, face('fa', 0.8)))
    rows = list(csv.DictReader(io.StringIO(recorder.csv().decode())))
    assert tuple(rows[0]) == COLUMNS
    assert [(row['time_s'], row['frame'], row['face_id']) for row in rows] == [
        ('1.500000', '0', 'fa'), ('1.500000', '0', 'fb'), ('1.700000', '2', 'fa')]
    assert recorder.state() == {'state': 'stopped', 'seconds': 2.5, 'rows': 3, 'full': False,
                                'restorable': False}


def test_what_was_recorded_is_not_lost_by_starting_again():
    recorder = CsvRecorder(1 << 20)
    recorder.start()
    recorder.add(frame(1, face('fa', 0.9)))
    recorder.stop()
    assert not recorder.start()
    assert recorder.state()['rows'] == 1
    recorder.delete()
    assert recorder.csv() is None
    assert recorder.start()


def test_a_deleted_recording_can_be_restored_for_a_while():
    now = [0.0]
    recorder = CsvRecorder(1 << 20, lambda: now[0])
    recorder.start()
    recorder.add(frame(1, face('fa', 0.9)))
    now[0] = 3.0
    recorder.stop()
    before, state = recorder.csv(), recorder.state()
    recorder.delete()
    assert recorder.csv() is None and recorder.state()['restorable']
    now[0] = 3.0 + UNDO
    assert recorder.restore() and recorder.csv() == before and recorder.state() == state
    assert not recorder.restore()
    recorder.delete()
    recorder.start()
    assert not recorder.restore() and recorder.state()['state'] == 'running', 'another was started'
    recorder.add(frame(2, face('fb', 0.9)))
    recorder.delete()  # while it runs
    now[0] += UNDO + 1
    recorder.add(frame(3))
    assert not recorder.state()['restorable'] and not recorder.restore() and recorder.csv() is None


def test_it_ends_at_its_largest_size_and_keeps_what_it_has():
    recorder = CsvRecorder(2000)
    recorder.start()
    for index in range(100):
        recorder.add(frame(index, face('fa', 0.9)))
    state = recorder.state()
    assert state['state'] == 'stopped' and state['full'] and 10 < state['rows'] < 100
    assert len(recorder.csv()) < 2200
