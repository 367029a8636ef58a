"""valence_plot as a process of its own, fed over DDS: what it draws, what it saves, how it ends."""

import csv
import math
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')

from builtin_interfaces.msg import Time
from harness import PATIENCE, Program, Robot, stamp_of
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from fer_ros.drawing.colours import FaceColours
from fer_ros.drawing.valence_plot import ValencePlot
from fer_ros.nodes.image_conversion import to_bgr
from fer_ros.nodes.valence_plot import LOG_PERIOD
from fer_ros.results.faces import FaceEmotion, FacesFrame, encode

MODULE = 'fer_ros.nodes.valence_plot'
SPAN = 10.0


@pytest.fixture
def robot():
    robot = Robot()
    yield robot
    robot.close()


def face(face_id='fa', valence=0.6, emotion='happy'):
    return FaceEmotion(face_id, (10.0, 20.0, 30.0, 40.0), (0, 0, 0, 1, 0, 0, 0), emotion, 0.9, valence, valence - 0.3)


class Faces:
    """What fer_node would publish."""

    def __init__(self, robot, topic='fer/faces'):
        self._robot = robot
        self.publisher = robot.node.create_publisher(String, topic, 1000)  # none is lost while the node does nothing

    def connect(self):
        self._robot.wait(lambda: self.publisher.get_subscription_count() > 0, 'for the subscription')
        self._robot.meet('valence_plot')

    def send(self, stamp_ns, *faces):
        self.publisher.publish(String(data=encode(FacesFrame(stamp_ns, 'camera', 640, 480, faces, None))))

    def stream(self, start_ns, faces_at, seconds, rate=30.0):
        """Frames with stamps from `start_ns` on, as fast as they go through; returns the last stamp."""
        for i in range(round(seconds * rate)):
            stamp = start_ns + round(i / rate * 1e9)
            self.send(stamp, *faces_at(i / rate))
            self._robot.spin(0.002)
        return stamp


def wait_for_plot_of(robot, stamp_ns):
    """Until the frame of that stamp is the newest one that the node has: a service may overtake the frames."""
    pictures = robot.listen(Image, 'valence_plot/plot')
    robot.wait(lambda: pictures and stamp_of(pictures[-1]) == stamp_ns, 'for the last frame')


def save(robot):
    return robot.call(Trigger, 'valence_plot/save')


def plot_node(tmp_path, **parameters):
    return Program(tmp_path / 'log.txt', module=MODULE, **({'window': False, 'seconds': SPAN} | parameters))


def line_of(picture, plot):
    """The columns in which there is a line of the face fa."""
    return [x for x in range(plot.area.left, plot.area.left + plot.area.width)
            if len(rows_of(picture[plot.area.top + 20:], x, 'fa'))]


def rows_of(picture, column, face_id):
    colour = FaceColours()([face_id])[face_id]
    return np.flatnonzero(np.abs(picture[:, round(column)].astype(int) - colour).sum(axis=1) < 40)


def drawn(plot, picture, seconds, face_id='fa'):
    """Mean row of a face's line so many seconds after the left edge, nan where there is none."""
    rows = rows_of(picture[plot.area.top + 20:], plot.area.x(seconds, SPAN), face_id) + plot.area.top + 20
    return rows.mean() if len(rows) else math.nan


def test_plot_shows_values_gap_and_silence(robot, tmp_path):
    """Stamps are those of a recording, years from the clock of the node, which the test moves on."""
    plot, start = ValencePlot(), 1_500_000_000_000_000_000
    clock = robot.node.create_publisher(Clock, '/clock', 1)
    with plot_node(tmp_path, seconds=SPAN, use_sim_time=True):
        faces = Faces(robot)
        faces.connect()
        pictures = robot.listen(Image, 'valence_plot/plot')
        end = faces.stream(start, lambda t: [] if 4 < t < 6 else [face(valence=0.6 if t < 5 else -0.4)], SPAN)
        robot.wait(lambda: pictures and stamp_of(pictures[-1]) == end, 'for the plot')
        message = pictures[-1]
        assert message.header.frame_id == 'camera'
        picture = to_bgr(message)
        assert picture.shape == (400, 960, 3)
        columns = line_of(picture, plot)
        assert columns[-1] == pytest.approx(plot.area.left + plot.area.width, abs=4)
        assert drawn(plot, picture, 7) == pytest.approx(plot.area.y(-0.4), abs=2)
        assert math.isnan(drawn(plot, picture, 5))
        assert drawn(plot, picture, 3.9) == pytest.approx(plot.area.y(0.6), abs=2)
        # Nothing comes any more for two seconds: the line leaves to the left.
        shifted = columns[-1] - 2 / SPAN * plot.area.width

        def moved():
            clock.publish(Clock(clock=Time(sec=2)))
            return line_of(to_bgr(pictures[-1]), plot)[-1] == pytest.approx(shifted, abs=3)
        robot.wait(moved, 'for the line to move')


def test_save_writes_what_is_plotted_and_names_the_files(robot, tmp_path):
    plot, out = ValencePlot(), tmp_path / 'new' / 'out'
    with plot_node(tmp_path, output_dir=out) as program:
        answer = save(robot)
        assert not answer.success
        assert '/fer/faces' in answer.message
        faces = Faces(robot)
        faces.connect()
        start = 1_700_000_000_000_000_000
        last = faces.stream(start, lambda t: [face(), face('fb', -0.5, 'sad')] if t < 2 else [face()], 4)
        wait_for_plot_of(robot, last)
        answer = save(robot)
        assert answer.success, answer.message
        (table,), (image,) = out.glob('*.csv'), out.glob('*.png')
        assert str(table) in answer.message
        assert image.name in answer.message
        rows = list(csv.DictReader(table.open()))
        assert [sum(r['face_id'] == i for r in rows) for i in ('fa', 'fb')] == [120, 60]
        assert rows[0]['time_s'] == '1700000000.000000'
        assert {float(r['valence']) for r in rows if r['face_id'] == 'fb'} == {-0.5}
        picture = cv2.imread(str(image))
        assert drawn(plot, picture, 9) == pytest.approx(plot.area.y(0.6), abs=2)
        dashes = [y for step in range(8) if not math.isnan(y := drawn(plot, picture, 7 + step / 40, 'fb'))]
        assert dashes == pytest.approx([plot.area.y(-0.5)] * len(dashes), abs=2) and dashes
        assert math.isnan(drawn(plot, picture, 9, 'fb'))
        save(robot)
        assert len(list(out.iterdir())) == 4, 'a second save keeps the first'
        assert program.end() == 0
    assert len(list(out.iterdir())) == 6, 'the end of the node saves too'
    assert not list(out.glob('*partial*'))


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_ends_with_code_0_and_saves(robot, tmp_path, number):
    out = tmp_path / 'out'
    with plot_node(tmp_path, output_dir=out) as program:
        faces = Faces(robot)
        faces.connect()
        wait_for_plot_of(robot, faces.stream(1_000_000_000, lambda t: [face()], 1))
        assert program.end(number) == 0, program.log
    assert {p.suffix for p in out.iterdir()} == {'.png', '.csv'}
    assert 'Traceback' not in program.log


def test_without_output_dir_the_end_writes_nothing(robot, tmp_path):
    with plot_node(tmp_path) as program:
        faces = Faces(robot)
        faces.connect()
        faces.stream(1_000_000_000, lambda t: [face()], 1)
        assert program.end() == 0
    assert 'saved' not in program.log


def test_bad_messages_are_told_once_and_left_out(robot, tmp_path):
    start = 1_700_000_000_000_000_000
    good = encode(FacesFrame(start, 'camera', 640, 480, (face(),), None))
    bad = ['', 'rubbish', '{}', '[' * 100_000, good.replace('"version": 1', '"version": 99'),
           good.replace('happy', 'bored'), good.replace('"sec": 1700000000', '"sec": 1e999'),
           good.replace('"sec": 1700000000', '"sec": -1'), good.replace('"valence": 0.6', '"valence": 1e30'),
           good.replace('"x": 10.0', '"x": NaN')]
    assert good not in bad
    with plot_node(tmp_path, output_dir=tmp_path / 'out') as program:
        faces = Faces(robot)
        faces.connect()
        begun = time.monotonic()
        for _ in range(3):
            for text in bad:
                faces.publisher.publish(String(data=text))
            robot.spin(0.05)
        robot.wait(lambda: '[WARN]' in program.log, 'for a warning')
        wait_for_plot_of(robot, faces.stream(start, lambda t: [face()], 1))
        assert save(robot).success
        assert program.end() == 0
    assert 1 <= program.log.count('[WARN]') <= 3 * (1 + (time.monotonic() - begun) / LOG_PERIOD), 'throttled'
    assert '/fer/faces skipped' in program.log
    (first, *_) = sorted((tmp_path / 'out').glob('*.csv'))
    assert {r['emotion'] for r in csv.DictReader(first.open())} == {'happy'}


def test_zero_repeated_and_backward_stamps(robot, tmp_path):
    with plot_node(tmp_path, output_dir=tmp_path / 'out') as program:
        faces = Faces(robot)
        faces.connect()
        before = time.time()
        for _ in range(20):  # a camera driver that does not stamp: the time of receipt counts
            faces.send(0, face())
            robot.spin(0.02)
        pictures = robot.listen(Image, 'valence_plot/plot')
        robot.wait(lambda: pictures and pictures[-1].header.stamp.sec >= int(before), 'for a stamp')
        faces.stream(5_000_000_000, lambda t: [face('fb')], 1)  # long before the others: a new time line
        faces.send(5_500_000_000, face('fc'))  # late
        robot.wait(lambda: 'not newer' in program.log, 'for the late frame')
        assert save(robot).success
        assert program.end() == 0
    assert 'jumped back' in program.log
    (first, *_) = sorted((tmp_path / 'out').glob('*.csv'))
    assert {r['face_id'] for r in csv.DictReader(first.open())} == {'fb'}


def test_output_dir_that_cannot_be_written_is_told_and_the_node_goes_on(robot, tmp_path):
    (tmp_path / 'file').write_text('')
    with plot_node(tmp_path, output_dir=tmp_path / 'file' / 'out') as program:
        faces = Faces(robot)
        faces.connect()
        pictures = robot.listen(Image, 'valence_plot/plot')
        faces.stream(1_000_000_000, lambda t: [face()], 1)
        robot.wait(lambda: pictures and pictures[-1].header.stamp.sec, 'for the frames')
        answer = save(robot)
        assert not answer.success
        assert str(tmp_path / 'file') in answer.message
        seen = len(pictures)
        robot.wait(lambda: len(pictures) > seen + 2, 'for more pictures')
        assert program.end() == 0
    assert 'nothing saved' in program.log


def test_full_disk_is_told_and_nothing_is_left(tmp_path, monkeypatch):
    """The write that fails is the operating system's; all above it is real."""
    from fer_ros.atomic_files import completed
    path = tmp_path / 'table.csv'
    with pytest.raises(OSError, match='No space left'), completed(path) as temporary:
        temporary.symlink_to('/dev/full')
        with temporary.open('w') as file:
            file.write('x' * 100_000)
    assert not list(tmp_path.iterdir())


def test_window_without_display_is_an_error_in_one_line(tmp_path, monkeypatch):
    for display in ('', ':987'):
        monkeypatch.setenv('DISPLAY', display)
        monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
        with plot_node(tmp_path, window=True) as program:
            assert program.process.wait(PATIENCE) == 1
        fatal = [line for line in program.log.splitlines() if line]
        assert len(fatal) == 1
        assert 'no display' in fatal[0]
        assert 'window' in fatal[0]


def test_auto_window_without_display_goes_on_without(robot, tmp_path, monkeypatch):
    monkeypatch.setenv('DISPLAY', ':987')
    with plot_node(tmp_path, window='auto') as program:
        Faces(robot).connect()
        assert program.end() == 0
    assert 'no window' in program.log


def test_parameters_change_while_running_within_their_ranges(robot, tmp_path):
    from rcl_interfaces.msg import Parameter, ParameterValue
    from rcl_interfaces.srv import SetParameters

    def set_seconds(value):
        parameter = Parameter(name='seconds', value=ParameterValue(type=3, double_value=value))
        request = SetParameters.Request(parameters=[parameter])
        return robot.call(SetParameters, 'valence_plot/set_parameters', request).results[0]

    plot = ValencePlot()
    with plot_node(tmp_path, seconds=SPAN, use_sim_time=True):  # time stands still: the line stays where it is
        faces = Faces(robot)
        faces.connect()
        pictures = robot.listen(Image, 'valence_plot/plot')
        last = faces.stream(1_000_000_000, lambda t: [face()], 2)
        robot.wait(lambda: pictures and stamp_of(pictures[-1]) == last, 'for the last frame')
        assert len(line_of(to_bgr(pictures[-1]), plot)) > 100
        assert not set_seconds(0.1).successful
        assert set_seconds(600.0).successful
        # 2 s of 600 are 3 pixels.
        robot.wait(lambda: 1 <= len(line_of(to_bgr(pictures[-1]), plot)) <= 12, 'for a picture with the long axis')


def test_plot_is_drawn_only_while_subscribed(robot, tmp_path):
    """An idle plot takes next to no processor time."""
    def cpu(program):
        fields = Path(f'/proc/{program.process.pid}/stat').read_text().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    with plot_node(tmp_path, rate=30.0, width=1920, height=1080) as program:
        faces = Faces(robot)
        faces.connect()
        faces.stream(1_000_000_000, lambda t: [face()], 1)
        start = cpu(program)
        robot.spin(2)
        idle = cpu(program) - start
        pictures = robot.listen(Image, 'valence_plot/plot')
        start = cpu(program)
        robot.wait(lambda: len(pictures) > 20, 'for pictures')
        assert idle < 0.5 * (cpu(program) - start) + 0.3
