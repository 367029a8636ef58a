"""Every program explains itself: argparse takes a lone % in a help text for a format, and fails only on --help."""

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = [file.relative_to(ROOT).with_suffix('').as_posix().replace('/', '.')
            for folder in ('fer_ros', 'benchmarks') for file in sorted((ROOT / folder).rglob('*.py'))
            if 'add_argument(' in file.read_text() and '__main__' in file.read_text()]


@pytest.mark.parametrize('module', PROGRAMS)
def test_help(module, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [module, '--help'])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main()
    assert not ended.value.code
    assert 'usage:' in capsys.readouterr().out


def test_the_programs_of_the_package_are_among_them():
    assert {'fer_ros.tools.process_video', 'fer_ros.tools.demo', 'fer_ros.msfernet.train', 'benchmarks.report'} <= set(
        PROGRAMS)
