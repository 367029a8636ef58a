import signal

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import Program, Robot, stamp_of
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters

from fer_ros.media.built_in_clip import portraits
from fer_ros.nodes.diagnostics import ImageTopic, Level, Monitor, Thresholds
from fer_ros.nodes.image_conversion import to_message

TOPIC = ImageTopic('/camera/image', 'sensor_msgs/msg/Image', 1)


class FakeClock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Camera:
    """Plays frames into a monitor."""

    def __init__(self):
        self.clock = FakeClock()
        self.monitor = Monitor(self.clock)

    def play(self, seconds, rate=16.0, latency=0.04, **outcome):
        """Outcome of every frame: processed by default, or dropped=True, bad='reason'. Rates that are powers of two add
        up exactly."""
        for _ in range(round(seconds * rate)):
            self.clock.now += 1 / rate
            self.monitor.received()
            if 'bad' in outcome:
                self.monitor.bad(outcome['bad'])
            elif 'dropped' in outcome:
                self.monitor.dropped()
            else:
                self.monitor.processed(latency, {'detect': 0.01, 'recognise': 0.02}, 2)

    def report(self, topic=TOPIC, **thresholds):
        return self.monitor.report(Thresholds(**thresholds), topic)


@pytest.fixture
def camera():
    return Camera()


def test_a_camera_that_works_is_ok_and_everything_is_reported(camera):
    camera.play(3)
    report = camera.report()
    assert report.level == Level.OK
    assert report.message == '16.0 frames/s, latency 40 ms'
    assert report.values == {
        'input rate [Hz]': '16.0', 'processed rate [Hz]': '16.0', 'latency median [s]': '0.040',
        'latency maximum [s]': '0.040', 'image age [s]': '0.00', 'faces': '2', 'image topic': '/camera/image',
        'publishers': '1', 'dropped in the last 3 s': '0', 'skipped in the last 3 s': '0',
        'bad in the last 3 s': '0', 'received since activation': '48', 'processed since activation': '48',
        'dropped since activation': '0', 'skipped since activation': '0', 'bad since activation': '0',
        'detect [ms]': '10.0', 'recognise [ms]': '20.0'}


def test_nothing_is_judged_in_the_first_second(camera):
    camera.play(0.25, rate=4)
    assert camera.report().level == Level.OK


def test_latency_is_median_and_maximum_of_the_last_second(camera):
    camera.play(5, latency=3.0)
    camera.play(0.875, rate=8, latency=0.1)
    camera.play(0.125, rate=8, latency=0.2)
    values = camera.report().values
    assert (values['latency median [s]'], values['latency maximum [s]']) == ('0.100', '0.200')


@pytest.mark.parametrize(('silence', 'level'), [(1.9, Level.OK), (2.0, Level.WARN), (9.9, Level.WARN),
                                                (10.0, Level.ERROR)])
def test_camera_stops(camera, silence, level):
    camera.play(3)
    camera.clock.now += silence
    assert camera.report().level == level


def test_camera_comes_back(camera):
    camera.play(2)
    camera.clock.now += 20
    assert camera.report().level == Level.ERROR
    camera.play(2)
    assert camera.report().level == Level.OK


@pytest.mark.parametrize(('topic', 'expected'), [
    (ImageTopic('/front/image', 'sensor_msgs/msg/Image'), ['no image for 2.5 s (none since activation)',
                                                           '/front/image has no publisher', '-r image:=']),
    (ImageTopic('/front/image', 'sensor_msgs/msg/Image', 1, ('QoS of webcam does not match: durability',)),
     ['/front/image has 1 publisher,', 'none of which reaches this node', 'QoS of webcam does not match: durability']),
    (ImageTopic('/front/image', 'sensor_msgs/msg/Image', 2, ('one of them differs',), '/opt/fastdds.xml'),
     ['2 publishers with matching QoS', '_DEFAULT_PROFILES_FILE=/opt/fastdds.xml'])])
def test_no_image_says_where_to_look(camera, topic, expected):
    camera.clock.now += 2.5
    report = camera.report(topic)
    assert report.level == Level.WARN
    for text in expected:
        assert text in report.message


@pytest.mark.parametrize(('rate', 'level'), [(16, Level.OK), (4, Level.WARN), (0.5, Level.ERROR)])
def test_camera_slows(camera, rate, level):
    camera.play(4, rate=rate)
    report = camera.report()
    assert report.level == level
    for told in ('the images come too slowly, or are lost on the way', '_DEFAULT_PROFILES_FILE='):
        assert (told in report.message) == (level != Level.OK)


def test_without_a_face_detector_no_camera_is_spoken_of(camera):
    camera.clock.now += 2.5
    message = camera.report(ImageTopic('/humans/faces/tracked', 'hri_msgs/msg/IdsList')).message
    assert 'start the face detector that publishes it, or set humans_namespace' in message
    assert 'camera' not in message and 'remap' not in message


def test_simulated_time_that_does_not_come_is_named(camera):
    """The node's clock stands at 0 until /clock is published."""
    camera.play(3, latency=-1.7e9)
    report = camera.report()
    assert report.level == Level.WARN
    assert 'use_sim_time is set but nobody publishes /clock' in report.message
    assert 'synchronise' not in report.message


def test_slow_here_is_told_from_a_slow_camera(camera):
    for _ in range(8):
        camera.play(0.375, rate=8, dropped=True)
        camera.play(0.125, rate=8, latency=0.2)
    report = camera.report()
    assert report.level == Level.WARN and 'the node is too slow, see the stage times' in report.message


def test_garbage_is_an_error_some_garbage_a_warning(camera):
    camera.play(2, bad='data holds 3 bytes')
    report = camera.report()
    assert report.level == Level.ERROR
    assert report.message == '32 of 32 images could not be used: data holds 3 bytes'
    camera.play(0.5)
    assert camera.report().level == Level.WARN


@pytest.mark.parametrize(('latency', 'level', 'text'), [
    (0.29, Level.OK, ''), (0.4, Level.WARN, 'latency 0.40 s'), (1.2, Level.ERROR, 'latency 1.20 s'),
    (3600, Level.WARN, 'use_sim_time'), (-0.5, Level.WARN, '0.50 s in the future')])
def test_latency(camera, latency, level, text):
    camera.play(2, latency=latency)
    report = camera.report()
    assert report.level == level and text in report.message


def test_images_without_stamp_have_no_latency(camera):
    camera.play(2, latency=None)
    report = camera.report()
    assert report.level == Level.OK and report.values['latency median [s]'] == ''


def test_drops(camera):
    camera.play(0.5, rate=32, dropped=True)
    camera.play(0.5, rate=32)
    assert camera.report().level == Level.OK
    assert '50% of the frames dropped' in camera.report(warn_drops=0.4).message


def test_problems_of_the_images_themselves_are_warnings_that_can_be_switched_off(camera):
    camera.play(2)
    told = {'image_problems': ('image too dark: add light', 'faces blurred: focus')}
    report = camera.monitor.report(Thresholds(), TOPIC, **told)
    assert (report.level, report.message) == (Level.WARN, 'image too dark: add light; faces blurred: focus')
    assert camera.monitor.report(Thresholds(warn_image_problems=False), TOPIC, **told).level == Level.OK
    camera.clock.now += 5
    assert 'dark' not in camera.monitor.report(Thresholds(), TOPIC, **told).message, 'there is no image at all'


def test_the_worst_comes_first(camera):
    camera.play(2, rate=4, latency=2.0)
    report = camera.report()
    assert report.level == Level.ERROR
    assert report.message.startswith('latency 2.00 s') and '; 4.0 frames/s' in report.message


def test_a_rate_that_the_user_limits_is_not_too_low(camera):
    camera.play(3, rate=2)
    assert camera.monitor.report(Thresholds(), TOPIC, max_rate=2.0).level == Level.OK


def test_a_node_that_nobody_listens_to_is_idle_and_not_slow(camera):
    for _ in range(30):
        camera.monitor.received()
        camera.monitor.skipped()
        camera.clock.now += 0.1
    report = camera.monitor.report(Thresholds(), TOPIC, idle=True)
    assert (report.level, report.message) == (Level.OK, 'idle: nobody subscribes to an output')
    camera.clock.now += 100
    report = camera.monitor.report(Thresholds(), TOPIC, idle=True)
    assert report.level == Level.ERROR and report.message.startswith('no image for'), 'the camera counts all the same'


def test_zero_switches_a_threshold_off(camera):
    camera.play(3, rate=2, latency=5)
    assert camera.report(warn_rate=0.0, error_rate=0.0, warn_latency=0.0, error_latency=0.0).level == Level.OK
    camera.clock.now += 100
    assert camera.report(warn_image_age=0.0, error_image_age=0.0).level == Level.OK


def test_restart_forgets(camera):
    camera.play(3, bad='broken')
    camera.clock.now += 20
    camera.monitor.restart()
    report = camera.report()
    assert report.level == Level.OK
    assert report.values['received since activation'] == '0' and report.values['image age [s]'] == ''


# The node itself, in a process of its own.

@pytest.fixture(scope='module')
def health(tmp_path_factory):
    """Robot, program and the reports it has published."""
    robot = Robot()
    with Program(tmp_path_factory.mktemp('diagnostics') / 'fer.log', '-p',
                 'qos_overrides./image.subscription.reliability:=reliable', warn_rate=4.0, error_rate=0.1,
                 warn_latency=0.0, error_latency=0.0, warn_image_age=2.0, error_image_age=0.0) as program:
        yield robot, program, robot.listen(DiagnosticArray, '/diagnostics')
        assert program.end(signal.SIGTERM) == 0, program.log
    robot.close()


def status(reports):
    """The node's last report."""
    return reports[-1].status[0] if reports else None


def values_of(reports):
    return {value.key: value.value for value in status(reports).values}


def set_error_image_age(robot, seconds):
    """An error that comes some seconds after the warning would leave that for a moment only, which may be missed."""
    parameter = Parameter(name='error_image_age', value=ParameterValue(type=ParameterType.PARAMETER_DOUBLE,
                                                                       double_value=seconds))
    assert robot.call(SetParameters, 'fer/set_parameters',
                      SetParameters.Request(parameters=[parameter])).results[0].successful


def reaches(reports, level, text):
    return lambda: reports and status(reports).level == bytes([level]) and text in status(reports).message


def test_no_publisher(health):
    robot, program, reports = health
    robot.wait(reaches(reports, Level.WARN, '/image has no publisher'))
    assert status(reports).name == 'fer: faces'
    robot.wait(lambda: 'no image for' in program.log)  # not everybody looks at diagnostics


def test_publisher_whose_qos_does_not_match(health):
    robot, _, reports = health
    camera = robot.camera(reliable=False)
    robot.wait(reaches(reports, Level.WARN, 'QoS of robot does not match'))
    robot.node.destroy_publisher(camera)


def test_publisher_that_matches_but_sends_nothing(health):
    robot, _, reports = health
    camera = robot.camera()
    robot.wait(reaches(reports, Level.WARN, 'matching QoS. Fast DDS'))
    set_error_image_age(robot, 2.5)
    robot.wait(reaches(reports, Level.ERROR, 'matching QoS. Fast DDS'))
    assert 'config/fastdds.xml' in status(reports).message
    set_error_image_age(robot, 0.0)
    robot.node.destroy_publisher(camera)


def test_camera_works_then_slows_then_sends_garbage_then_stops(health):
    robot, _, reports = health
    camera = robot.camera()
    picture = np.full((120, 160, 3), 128, np.uint8)
    good = reaches(reports, Level.OK, 'frames/s')
    # Faces and stage times are those of the last second, in which a busy machine may have done nothing.
    robot.show(camera, picture, 12.0, until=lambda: good() and values_of(reports)['faces'])
    values = values_of(reports)
    assert values['device'] == 'cpu' and values['model'] == 'msfernet.safetensors' and values['faces'] == '0'
    assert float(values['detect [ms]']) > 0
    robot.show(camera, picture, 2.0, until=reaches(reports, Level.WARN, 'the images come too slowly'))

    def garbage():
        message = to_message(picture, robot.header())
        message.encoding = 'no such encoding'
        camera.publish(message)
        robot.spin(0.1)
        return reaches(reports, Level.ERROR, 'could not be used')()
    robot.wait(garbage)
    assert "'no such encoding' image of 160×120" in status(reports).message
    robot.show(camera, picture, 12.0, until=reaches(reports, Level.OK, 'frames/s'))
    robot.wait(reaches(reports, Level.WARN, 'no image for'))


def test_darkness_and_faces_on_their_side_are_told_with_a_remedy(health):
    robot, _, reports = health
    camera = robot.camera()
    upright = cv2.resize(portraits()['astronaut'], (480, 480), interpolation=cv2.INTER_AREA)
    robot.show(camera, upright // 24, 12.0, until=reaches(reports, Level.WARN, 'image too dark: add light'))
    told = reaches(reports, Level.WARN, 'faces stand on their side: set rotate to 90')
    robot.show(camera, np.rot90(upright).copy(), 12.0,  # until the darkness is forgotten
               until=lambda: told() and values_of(reports)['image problems'].startswith('faces stand'))
    robot.show(camera, upright, 12.0, until=reaches(reports, Level.OK, 'frames/s'))
    robot.node.destroy_publisher(camera)


def test_reports_come_once_per_second(health):
    """By their stamps: a busy machine is late now and then, but not with three in succession all the time."""
    robot, _, reports = health
    reports.clear()

    def stamps():
        return [stamp_of(report) * 1e-9 for report in reports]
    robot.wait(lambda: any(2.3 < last - first < 3.7 for first, last in zip(stamps(), stamps()[3:], strict=False)),
               'for four within about three seconds')
    assert len(reports) <= stamps()[-1] - stamps()[0] + 2
