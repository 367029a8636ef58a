"""All programs together: ended in every way they work again after a restart, and leave nothing behind."""

import os
import shutil
import signal
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import PATIENCE, Program, Robot, stamp_of
from sensor_msgs.msg import Image
from std_msgs.msg import String

from fer_ros.media.built_in_clip import portraits
from fer_ros.nodes.diagnostics import Level, Thresholds
from fer_ros.nodes.shared_memory import MIN_AGE
from fer_ros.results.faces import decode

SHARED = Path('/dev/shm')
PROGRAMS = ('video_source', 'fer_node', 'valence_plot', 'live_table')


@pytest.fixture
def robot():
    robot = Robot()
    yield robot
    robot.close()


class System:
    """The four programs, which write below `folder`."""

    def __init__(self, folder: Path, stack: ExitStack, now: int):
        self.begin = now
        self.video = folder / 'recording.mp4'
        self.plots = folder / 'plots'
        arguments = {'video_source': {'rate': 15.0}, 'fer_node': {}, 'live_table': {'video': self.video},
                     'valence_plot': {'window': False, 'output_dir': self.plots}}
        self.programs = {name: stack.enter_context(Program(
            folder / f'{name}.log', *(('-r', 'image:=image_raw') if name == 'fer_node' else ()),
            module=f'fer_ros.nodes.{name}', **arguments[name])) for name in PROGRAMS}

    def works(self, robot: Robot, faces: list, plots: list) -> None:
        """Wait until every program does its work; messages of programs before these may still come."""
        faces.clear()
        plots.clear()

        def of_these():
            return [frame for frame in (decode(message.data) for message in faces) if frame.stamp_ns > self.begin]
        robot.wait(lambda: any(frame.faces for frame in of_these()), 'for a face')
        robot.wait(lambda: any(stamp_of(plot) > self.begin for plot in plots), 'for the plot')
        robot.wait(lambda: '│' in self.programs['live_table'].log, 'for the table')
        robot.wait(self._recording, 'for the recording')

    def _recording(self) -> bool:
        """Whether these programs have begun one: another may have been left by those before."""
        try:
            return self.video.with_name('recording.partial.mp4').stat().st_mtime_ns > self.begin
        except FileNotFoundError:
            return False

    @property
    def children(self) -> list[int]:
        """Processes that the programs have started."""
        return [child for program in self.programs.values() for child in program.children]

    @property
    def segments(self) -> set[Path]:
        """Shared memory that they own: they hold a lock on the file of the same name with _el."""
        links = {link for program in self.programs.values() for link in program.open_files}
        return {Path(link.removesuffix('_el')) for link in links
                if link.startswith('/dev/shm/fast') and link.endswith('_el') and '_port' not in link}

    def end(self, number: int) -> dict[str, int]:
        """A signal to all at once; their exit codes."""
        for program in self.programs.values():
            program.process.send_signal(number)
        return {name: program.process.wait(PATIENCE) for name, program in self.programs.items()}


def test_every_end_and_restart(robot, tmp_path, monkeypatch):
    temporary = tmp_path / 'temporary'
    temporary.mkdir()
    monkeypatch.setenv('TMPDIR', str(temporary))
    faces, plots = robot.listen(String, 'fer/faces'), robot.listen(Image, 'valence_plot/plot')
    killed: set[Path] = set()
    # The next start shows that the one before has left nothing that is in the way.
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        with ExitStack() as stack:
            system = System(tmp_path, stack, robot.now)
            system.works(robot, faces, plots)
            segments, children = system.segments, system.children
            assert len(segments) >= len(PROGRAMS)
            codes = system.end(number)
        logs = {name: program.log for name, program in system.programs.items()}
        assert set(codes.values()) == ({-number} if number == signal.SIGKILL else {0}), (codes, logs)
        robot.wait(lambda children=children: not any(Path(f'/proc/{child}').exists() for child in children),
                   'for the end of the children')
        assert not list(temporary.iterdir())
        partial = [path.name for path in tmp_path.rglob('*partial*')]
        if number == signal.SIGKILL:
            assert partial in ([], ['recording.partial.mp4']), 'removed by the next recording'
            killed = segments
            for path in segments:
                for file in (path, path.with_name(f'{path.name}_el')):
                    with suppress(FileNotFoundError):  # any program that starts on this computer removes it
                        os.utime(file, (time.time() - 2 * MIN_AGE,) * 2)
        else:
            assert not any('Traceback' in log for log in logs.values()), logs
            assert partial == []
            assert system.video.stat().st_size
            system.video.unlink()
            assert {path.suffix for path in system.plots.iterdir()} == {'.csv', '.png'}
            shutil.rmtree(system.plots)
            assert not [path for path in segments if path.exists()]
            assert not [path for path in killed if path.exists()], 'the start after SIGKILL removes what it left'


def test_two_nodes_with_one_name_both_go_on_and_say_so(robot, tmp_path):
    """In a namespace of their own, where no node of the test before, which killed some, still counts."""
    faces, reports = robot.listen(String, 'two/fer/faces'), robot.listen(DiagnosticArray, '/diagnostics')
    camera = robot.camera('two/image')
    given = {name: 0.0 for name in Thresholds.__dataclass_fields__ if name != 'warn_image_problems'}
    with (Program(tmp_path / 'one.log', '-r', '__ns:=/two', **given) as one,
          Program(tmp_path / 'two.log', '-r', '__ns:=/two', **given) as two):
        robot.wait(lambda: camera.get_subscription_count() == 2, 'for both')

        def twice():
            counts = Counter(decode(message.data).stamp_ns for message in faces if decode(message.data).faces)
            return sum(count == 2 for count in counts.values()) >= 5
        robot.show(camera, portraits()['astronaut'], 5.0, until=twice)
        for program in (one, two):
            robot.wait(lambda program=program: 'nodes are named /two/fer' in program.log, 'for the warning')

        def told(text, level):
            return lambda: any(text in r.status[0].message and r.status[0].level == bytes([level]) for r in reports)
        robot.wait(told('nodes are named /two/fer', Level.WARN), 'for the diagnostics')
        assert two.end() == 0
        reports.clear()
        robot.show(camera, portraits()['astronaut'], 8.0, until=lambda: reports and 'named' not in
                   reports[-1].status[0].message)
        assert one.end() == 0
        assert one.log.count('nodes are named /two/fer') == 1
