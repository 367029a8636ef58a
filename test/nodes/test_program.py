"""The end of a program on a signal, whatever becomes of the exception that the signal raises."""

import signal
import subprocess
import sys

import pytest
from harness import PATIENCE, ROOT

PROGRAM = '''
import os, signal, sys
from rclpy.node import Node
from fer_ros.nodes.program import run

def ask():
    os.kill(os.getpid(), {number})
    for _ in range(100):
        pass

class Lost:
    def __del__(self):
        ask()

def create():
    {creation}
    return Node('n')

sys.exit(run('n', create))
'''
CREATIONS = {'raised': 'ask()', 'lost in a destructor': 'Lost()',
             'turned into another error': """
    try:
        ask()
    except KeyboardInterrupt:
        raise RuntimeError('Unable to convert call argument')"""}


@pytest.mark.parametrize('creation', CREATIONS.values(), ids=CREATIONS)
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_while_the_node_is_created(number, creation):
    code = PROGRAM.format(number=int(number), creation=creation)
    result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 0, result.stderr


def test_other_errors_are_not_hidden():
    code = PROGRAM.format(number=int(signal.SIGINT), creation="raise RuntimeError('broken')")
    result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 1
    assert 'RuntimeError: broken' in result.stderr
