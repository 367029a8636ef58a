"""Times of frames where clocks are set, stand still or mean nothing."""

from itertools import pairwise

import numpy as np
import pytest
from reading import frames_of
from videos import image_message, write_bag

from fer_ros.recordings.frame_readers import open_reader
from fer_ros.recordings.inputs import find_inputs
from fer_ros.recordings.time_line import LONGEST_GAP, Stamped, TimeLine

S = 1_000_000_000
T1970, T2023 = 100 * S, 1_700_000_000 * S
PIXEL = np.zeros((1, 1, 3), np.uint8)


def placed(stamps, recorded, period=S // 10):
    """Seconds of each frame, and the problems."""
    line = TimeLine(period)
    frames = [placed for i, (stamp, time) in enumerate(zip(stamps, recorded, strict=True))
              for placed in line.push(Stamped(i, PIXEL, int(stamp), int(time)))]
    line.finish()
    assert all(later[1] > earlier[1] for earlier, later in pairwise(frames))
    return [time_ns / S for _, time_ns in frames], line.problems


def regular(count, start=T2023, step=S // 10):
    return [start + i * step for i in range(count)]


def test_a_clock_that_is_set_during_the_recording():
    recorded = [t + 1234 for t in regular(20)]
    times, problems = placed([*regular(10, T1970), *regular(10, T2023 + S)], recorded)
    assert times == [pytest.approx(i / 10) for i in range(20)]
    assert problems == ['stamps leap once by +1699999900.100 s: the clock was set, and the times of recording are used '
                        'there']
    times, _ = placed([*regular(10, T2023 + 1000 * S), *regular(10, T2023)], recorded)
    assert times == [pytest.approx(i / 10) for i in range(20)]


def test_a_clock_that_is_set_for_camera_and_recorder_alike():
    stamps = [*regular(10, T1970), *regular(10, T2023)]
    times, problems = placed(stamps, [t + 1234 for t in stamps])
    assert times == [pytest.approx(i / 10) for i in range(20)]
    assert 'stamps leap once by +1699999899.100 s' in problems[0]


def test_two_clocks_in_turn():
    stamps = [(T1970, T2023)[i % 2] + i * S // 10 for i in range(20)]
    times, problems = placed(stamps, regular(20))
    assert times == [pytest.approx(i / 10) for i in range(20)]
    assert 'stamps leap 19 times, first by' in problems[0]


@pytest.mark.parametrize('recorded', [regular(60), [t + (i % 3) * 1000 for i, t in enumerate(regular(60))]])
def test_constant_stamps(recorded):
    times, problems = placed([T2023] * 60, recorded)
    assert times == [pytest.approx(i / 10, abs=1e-5) for i in range(60)]
    assert problems == ['59 images have the stamp of the one before: the times of recording are used']


def test_constant_stamps_and_times_of_recording():
    times, _ = placed([T2023] * 60, [T2023] * 60)
    assert times == [pytest.approx(i / 10) for i in range(60)]


def test_a_clock_that_stands_still_for_a_while():
    stamps = [*regular(10), *[T2023 + 9 * S // 10] * 10, *regular(10, T2023 + 2 * S)]
    times, problems = placed(stamps, regular(30))
    assert times == [pytest.approx(i / 10) for i in range(30)]
    assert '10 images have the stamp of the one before' in problems[0]


def test_copies_are_left_out():
    stamps = sorted(regular(10) * 2)
    times, problems = placed(stamps, [T2023 + i * S // 20 for i in range(20)])
    assert times == [pytest.approx(i / 10) for i in range(10)]
    assert problems == ['10 images were skipped because their stamp was not newer than the previous one']


def test_pauses_that_both_clocks_agree_on_are_kept():
    stamps = [*regular(10), *regular(10, T2023 + 7200 * S)]
    times, problems = placed(stamps, [t + 1234 for t in stamps])
    assert times[10] == 7200
    assert not problems


def test_stamps_are_believed_where_times_of_recording_mean_nothing():
    stamps = [*regular(10), *regular(10, T2023 + 60 * S)]
    times, problems = placed(stamps, [i * 1000 for i in range(20)])  # a bag that was converted
    assert times[9:11] == [0.9, 60]
    assert not problems
    times, problems = placed(regular(20), [t * 20 for t in regular(20)])  # recorded while another was played slowly
    assert times == [pytest.approx(i / 10) for i in range(20)]
    assert not problems


def test_frames_that_were_recorded_in_bursts():
    recorded = [T2023 + (i // 10) * S for i in range(40)]
    times, problems = placed(regular(40), recorded)
    assert times == [pytest.approx(i / 10) for i in range(40)]
    assert not problems


def test_the_longest_gap_is_a_day():
    stamps = [T2023, T2023 + LONGEST_GAP, T2023 + 3 * LONGEST_GAP]
    assert placed(stamps, stamps)[0] == [0, LONGEST_GAP / S, LONGEST_GAP / S + 0.1]


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_rate_of_a_bag_whose_clock_was_set(tmp_path, storage):
    """For --annotated: one frame per second is the mean over 54 years."""
    stamps = [*regular(30, T1970), *regular(30, T2023)]
    messages = [(t + 5, image_message(np.full((48, 64, 3), 3 * i, np.uint8), t)) for i, t in enumerate(stamps)]
    path = write_bag(tmp_path / 'bag', {'/image': ('sensor_msgs/msg/Image', messages)}, storage)
    reader = open_reader(find_inputs([str(path)])[0])
    assert reader.rate == pytest.approx(10)
    frames, warning = frames_of(reader, str(path))
    assert [f.time_ns / S for f in frames] == [pytest.approx(i / 10) for i in range(60)]
    assert f'{path}: stamps leap once by' in warning
    reader.close()
