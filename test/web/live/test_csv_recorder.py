import csv
import io

from dashboard_harness import face

from fer_ros.results.faces import FacesFrame
from fer_ros.results.faces_csv import COLUMNS
from fer_ros.web.live.csv_recorder import FacesRecording


def frame(stamp_ns: int, *faces) -> FacesFrame:
    return FacesFrame(stamp_ns, 'camera', 640, 480, faces)


def test_what_comes_between_start_and_stop_is_in_the_file():
    now = [0.0]
    recording = FacesRecording(1 << 20, lambda: now[0])
    recording.add(frame(1))
    assert recording.csv() is None and recording.state()['state'] == 'empty'
    assert recording.start()
    recording.add(frame(1_500_000_000, face('fa', 0.9), face('fb', 0.1)))
    recording.add(frame(1_600_000_000))
    recording.add(frame(1_700_000_000, face('fa', 0.8)))
    now[0] = 2.5
    recording.stop()
    now[0] = 9.0
    recording.add(frame(1_800_000_000, face('fa', 0.8)))
    rows = list(csv.DictReader(io.StringIO(recording.csv().decode())))
    assert tuple(rows[0]) == COLUMNS
    assert [(row['time_s'], row['frame'], row['face_id']) for row in rows] == [
        ('1.500000', '0', 'fa'), ('1.500000', '0', 'fb'), ('1.700000', '2', 'fa')]
    assert recording.state() == {'state': 'stopped', 'seconds': 2.5, 'rows': 3, 'full': False}


def test_what_was_recorded_is_not_lost_by_starting_again():
    recording = FacesRecording(1 << 20)
    recording.start()
    recording.add(frame(1, face('fa', 0.9)))
    recording.stop()
    assert not recording.start()
    assert recording.state()['rows'] == 1
    recording.delete()
    assert recording.csv() is None
    assert recording.start()


def test_it_ends_at_its_largest_size_and_keeps_what_it_has():
    recording = FacesRecording(2000)
    recording.start()
    for index in range(100):
        recording.add(frame(index, face('fa', 0.9)))
    state = recording.state()
    assert state['state'] == 'stopped' and state['full'] and 10 < state['rows'] < 100
    assert len(recording.csv()) < 2200
