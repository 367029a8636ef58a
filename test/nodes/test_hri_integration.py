"""The behaviour node in the integration guide works as it stands there."""

import re
import subprocess
import sys

from harness import PATIENCE, ROOT, Robot
from std_msgs.msg import Float32, String


def example():
    text = (ROOT / 'docs' / 'hri_integration.md').read_text()
    return re.search(r'```python\n(.*?)```', text, re.DOTALL).group(1)


def test_the_greeter_greets_who_smiles_for_a_second(tmp_path):
    program = tmp_path / 'greeter.py'
    program.write_text(example())
    robot = Robot()
    said = robot.listen(String, 'say')
    valence = robot.node.create_publisher(Float32, 'fer/valence', 10)
    process = subprocess.Popen([sys.executable, program])
    try:
        robot.wait(lambda: valence.get_subscription_count() and robot.node.count_publishers('say'))

        def face(value, seconds):
            for _ in range(round(seconds * 10)):
                valence.publish(Float32(data=value))
                robot.spin(0.1)
        for _ in range(3):  # short smiles
            face(0.8, 0.5)
            face(0.1, 0.2)
        assert not said
        face(0.8, 3.0)
        robot.wait(lambda: said)
        assert [message.data for message in said] == ['Nice to see you!']
    finally:
        process.terminate()
        process.wait(PATIENCE)
        robot.close()
