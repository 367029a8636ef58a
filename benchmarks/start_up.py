"""How long programs take to start, and what they hold then: time to the first sign of work, processor time, memory.

    python -m benchmarks.start_up

The programs take turns, so that a load from elsewhere meets all alike.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks.latency import cpu_seconds
from benchmarks.machine import described, machine
from fer_ros.media.built_in_clip import BuiltInClip
from fer_ros.media.video_writer import VideoWriter
from fer_ros.msfernet.cli import run
from fer_ros.tools.demo import environment

STARTS = 3
PATIENCE = 120.0
"""Seconds."""
NODE = '-m', 'fer_ros.nodes.fer_node'


def programs(folder: Path) -> dict[str, tuple[tuple[str, ...], str]]:
    """By name: the arguments of Python, and the text that shows the program at work; empty: it ends."""
    video = VideoWriter(folder / 'clip.mp4', 30.0)
    clip = BuiltInClip()
    for index in range(10):
        video.add(clip.frame(index), index / 30)
    video.close()
    return {
        '`fer_node`, subscribed': (NODE, 'subscribed to'),
        '`fer_node` with `runtime: torch`, subscribed': (
            (*NODE, '--ros-args', '-p', 'runtime:=torch'), 'subscribed to'),
        '`video_source`, publishing': (('-m', 'fer_ros.nodes.video_source'), 'frames/s on'),
        '`dashboard`, page served': (
            ('-m', 'fer_ros.nodes.dashboard', '--ros-args', '-p', 'port:=8231'), 'the page is at'),
        '`process_video` of ten frames, complete': (
            ('-m', 'fer_ros.tools.process_video', str(video.path), '--output', str(folder / 'out')), '')}


def start(arguments: tuple[str, ...], sign: str) -> tuple[float, float, float]:
    """Seconds to the sign, seconds of processor time until then, resident megabytes then (0 of one that has ended).

    Raises:
        ValueError: the program ended without it.
    """
    begun = time.monotonic()
    spent = os.times()
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=environment()) as process:
        try:
            if not sign:
                process.communicate(timeout=PATIENCE)
                seconds, now = time.monotonic() - begun, os.times()
                return seconds, (now.children_user + now.children_system
                                 - spent.children_user - spent.children_system), 0.0
            assert process.stdout is not None
            for line in process.stdout:
                if sign in line:
                    break
            else:
                raise ValueError(f'{" ".join(arguments)} ended without "{sign}"')
            seconds, cpu = time.monotonic() - begun, cpu_seconds(process.pid)
            pages = int(Path(f'/proc/{process.pid}/statm').read_text().split()[1])
            return seconds, cpu, pages * os.sysconf('SC_PAGE_SIZE') / 1e6
        finally:
            process.send_signal(signal.SIGINT)


def report() -> str:
    """The table, Markdown."""
    lines = [f'{described(machine())} Median of {STARTS} starts.', '',
             '| program | seconds | processor time | resident memory |', '| --- | ---: | ---: | ---: |']
    with tempfile.TemporaryDirectory() as folder:
        started = programs(Path(folder))
        measured: dict[str, list[tuple[float, float, float]]] = {name: [] for name in started}
        for _ in tqdm(range(STARTS), unit='round'):
            for name, (arguments, sign) in started.items():
                measured[name].append(start(arguments, sign))
    for name, values in measured.items():
        seconds, cpu, memory = (statistics.median(column) for column in zip(*values, strict=True))
        lines.append(f'| {name} | {seconds:.1f} | {cpu:.1f} s | ' + (f'{memory:.0f} MB |' if memory else '– |'))
    return '\n'.join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    argparse.ArgumentParser(prog='python -m benchmarks.start_up', description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(arguments)
    return run('start_up', lambda: print(report()))


if __name__ == '__main__':
    sys.exit(main())
