"""What fer_node manages with less than this machine: one core, and a third of one, as on a robot's processor.

    sudo -E .venv/bin/python -m benchmarks.small_machine --docs docs/benchmarks.md

The node alone is confined: to one core by its affinity, to a third of one by a quota of its control group, which only
root may set. Camera and receiver run on all cores. The camera sends 640×480 at 30 frames/s.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from benchmarks.latency import Bench, percentiles
from benchmarks.machine import described, machine
from fer_ros.atomic_files import write_file
from fer_ros.msfernet.cli import run
from fer_ros.msfernet.model_card import fill
from fer_ros.tools.demo import DemoError

CGROUPS = Path('/sys/fs/cgroup')
PERIOD_US = 100_000
MACHINES = (('two cores', 2, None), ('one core', 1, None), ('a third of a core', 1, 1 / 3))
"""Name, number of cores, and share of the time of a core; None: all of it."""
SETTINGS = (('the defaults', ()),
            ('`max_rate: 10`', ('max_rate=10.0',)),
            ('`max_faces_per_frame: 2`', ('max_faces_per_frame=2',)),
            ('`detector: short`', ('detector=short',)),
            ('`detector: short`, `detect_every: 3`', ('detector=short', 'detect_every=3')))
RATE = 30.0
FACES = (1, 4)


def confine(pid: int, cores: int, share: float | None) -> None:
    """Give all threads of a process this many cores, and this share of the time of one.

    Raises:
        OSError: the control group cannot be made; it takes root.
    """
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    for task in Path(f'/proc/{pid}/task').iterdir():
        os.sched_setaffinity(int(task.name), allowed)
    if share is None:
        return
    is_v2 = (CGROUPS / 'cgroup.controllers').exists()
    group = (CGROUPS if is_v2 else CGROUPS / 'cpu') / 'fer_ros_benchmark'
    group.mkdir(exist_ok=True)
    quota = round(share * PERIOD_US)
    limits = {'cpu.max': f'{quota} {PERIOD_US}'} if is_v2 else {
        'cpu.cfs_period_us': str(PERIOD_US), 'cpu.cfs_quota_us': str(quota)}
    for name, value in {**limits, 'cgroup.procs': str(pid)}.items():
        (group / name).write_text(value)


def measure(cores: int, share: float | None, settings: Sequence[str], seconds: float) -> list[dict]:
    """One node, with each of `FACES`. Raises DemoError, OSError."""
    rows = []
    with Bench([*settings, f'threads={cores}']) as bench:
        confine(bench.node_pid, cores, share)
        for faces in FACES:
            sent = bench.send(640, 480, faces, RATE, seconds)
            results = [r for r in bench.receiver.results if r[1] >= 0]
            if not results:
                raise DemoError('no result came')
            rows.append({'faces': faces, 'fps': len(results) / sent['seconds'],
                         **percentiles([r[2] for r in results]), 'cpu_ms_per_frame': 1e3 * sent['cpu_s_per_frame']})
    return rows


def report(seconds: float) -> str:
    """The Markdown table."""
    head = ' | '.join(f'{count} {"face" if count == 1 else "faces"}' for count in FACES)
    lines = [described(machine()), '', 'Frames per second, latency p50 (p95), and processor time per frame:', '',
             f'| `fer_node` on | settings | {head} |', '| --- | --- |' + ' --- |' * len(FACES)]
    for (name, cores, share), (title, options) in tqdm([(m, s) for m in MACHINES for s in SETTINGS], unit='case'):
        cells = ' | '.join(f'{row["fps"]:.0f} frames/s, {row["p50_ms"]:.0f} ({row["p95_ms"]:.0f}) ms, '
                           f'{row["cpu_ms_per_frame"]:.0f} ms' for row in measure(cores, share, options, seconds))
        lines.append(f'| {name} | {title} | {cells} |')
    return '\n'.join(lines)


def _run(options: argparse.Namespace) -> None:
    text = report(options.seconds)
    print(text)
    if options.docs:
        write_file(options.docs, fill(options.docs.read_text(encoding='utf-8'), 'small machines', text).encode())


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.small_machine', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=float, default=10.0, help='length of each case')
    parser.add_argument('--docs', type=Path, help='fill the section "small machines" of this document')
    options = parser.parse_args(arguments)
    return run('small_machine', lambda: _run(options))


if __name__ == '__main__':
    sys.exit(main())
