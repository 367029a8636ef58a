"""The behaviour node in the integration guide works as it stands there."""

import re
import subprocess
import sys

from builtin_interfaces.msg import Time
from harness import PATIENCE, ROOT, Robot
from rcl_interfaces.srv import GetParameters
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float32, String


def example():
    text = (ROOT / 'docs' / 'hri_integration.md').read_text()
    return re.search(r'```python\n(.*?)```', text, re.DOTALL).group(1)


def test_the_greeter_greets_who_smiles_for_a_second(tmp_path):
    """By the time of a simulation, which is what the test says, however long the messages take."""
    program = tmp_path / 'greeter.py'
    program.write_text(example())
    robot = Robot()
    said = robot.listen(String, 'say')
    valence = robot.node.create_publisher(Float32, 'fer/valence', 10)
    clock = robot.node.create_publisher(Clock, '/clock', 10)
    process = subprocess.Popen([sys.executable, program, '--ros-args', '-p', 'use_sim_time:=true'])
    try:
        robot.wait(lambda: valence.get_subscription_count() and clock.get_subscription_count()
                   and robot.node.count_publishers('say'))
        robot.meet('greeter')

        def face(value, seconds):
            """Each message is sent when the one before has been received: a service is served after the topics."""
            clock.publish(Clock(clock=Time(sec=int(seconds), nanosec=int(seconds % 1 * 1e9))))
            robot.call(GetParameters, 'greeter/get_parameters')
            valence.publish(Float32(data=value))
            robot.call(GetParameters, 'greeter/get_parameters')
        for start in (100.0, 101.0, 102.0):  # short smiles
            for value, later in ((0.8, 0.0), (0.8, 0.25), (0.8, 0.5), (0.1, 0.625)):
                face(value, start + later)
        robot.spin(0.2)
        assert not said
        for tenth in range(30):
            face(0.8, 110.0 + tenth / 10)
        robot.wait(lambda: said)
        assert [message.data for message in said] == ['Nice to see you!']
    finally:
        process.terminate()
        process.wait(PATIENCE)
        robot.close()
