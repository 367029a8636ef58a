"""All benchmarks that run unattended, and docs/benchmarks.md from what they measured.

    make bench                                    # or: python -m benchmarks.report
    python -m benchmarks.report --quick --docs /tmp/benchmarks.md    # a few minutes, to check the report itself
    python -m benchmarks.report --only stages     # repeat some and keep the figures of the others
    python -m benchmarks.report --only            # measure nothing: only write the report

Every benchmark writes NAME.json to the folder --out. If one fails, it is named and the others are reported. Text
outside of the marked sections of docs/benchmarks.md is written by hand and kept.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from tqdm import tqdm

from benchmarks.machine import described, machine
from fer_ros.atomic_files import completed, write_file
from fer_ros.msfernet.cli import run
from fer_ros.msfernet.model_card import fill
from fer_ros.tools.demo import environment

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / 'docs' / 'benchmarks.md'
IMAGES = Path('images')
"""Folder of the pictures beside the document."""
LIMIT = 1800.0
"""Seconds after which a benchmark is taken to hang."""
GRACE = 60.0
"""Seconds that an interrupted benchmark has to end its processes."""
COLOURS = ('#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#999999')
"""Told apart by the colour-blind (Okabe and Ito)."""


@dataclass(frozen=True)
class Program:
    """One benchmark: `module` with `arguments`, or with `quick` ones to look at the report."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = ('--quick',)


PROGRAMS = (
    Program('stages', 'stages'),
    Program('detect_every', 'detect_every'),
    Program('latency', 'latency', ('--seconds', '6')),
    Program('flat', 'latency', ('--flat', '5'), ('--flat', '0.3')),
    Program('delivery', 'delivery', ('--seconds', '5'), ('--seconds', '2')),
    Program('cameras', 'cameras', ('--seconds', '10'), ('--seconds', '3', '--cameras', '1')),
    Program('plot_cpu', 'plot_cpu', ('--seconds', '8'), ('--seconds', '2')),
    Program('process_video', 'process_video', ('--repeat', '2', '--minutes', '4'),
            ('--repeat', '1', '--minutes', '0.5', '--files', '3', '--hd', '0.2')),
    Program('accuracy', 'accuracy', (), ('--limit', '300')),
    Program('cuda', 'cuda'),
)


def measure(program: Program, folder: Path, quick: bool) -> None:
    """Run one benchmark; NAME.json holds its figures then, or NAME.failed the reason why there are none."""
    target, reason = folder / f'{program.name}.json', folder / f'{program.name}.failed'
    target.unlink(missing_ok=True)
    if program.name == 'accuracy' and not os.environ.get('FER2013_DIR'):
        write_file(reason, b'FER2013_DIR is not set')
        return
    command = [sys.executable, '-m', f'benchmarks.{program.module}', '--json', str(target),
               *(program.quick if quick else program.arguments)]
    with tempfile.TemporaryFile('w+') as errors:
        with subprocess.Popen(command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=errors) as process:
            said = _wait(process)
        errors.seek(0)
        lines = errors.read().strip().splitlines() or ['it said nothing']
    if not said and (process.returncode or not target.exists()):
        said = f'exit code {process.returncode}: {lines[-1]}'
    if said:
        write_file(reason, said.encode())
        tqdm.write(f'{program.name} failed: {said}', file=sys.stderr)
    else:
        reason.unlink(missing_ok=True)


def _wait(process: subprocess.Popen) -> str:
    """Until it has ended; when it takes too long, or the user has had enough, it is interrupted and may clean up."""
    try:
        process.wait(LIMIT)
        return ''
    except BaseException as error:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
        if isinstance(error, subprocess.TimeoutExpired):
            return f'it took longer than {LIMIT:g} s'
        raise


def load(folder: Path) -> tuple[dict[str, dict | list], dict[str, str]]:
    """Figures by name, and the reasons why others are missing."""
    found, missing = {}, {}
    for program in PROGRAMS:
        path, reason = folder / f'{program.name}.json', folder / f'{program.name}.failed'
        if path.exists():
            found[program.name] = json.loads(path.read_text())
        else:
            missing[program.name] = reason.read_text() if reason.exists() else 'it was not run'
    return found, missing


@dataclass(frozen=True)
class Goal:
    """A target and the measured value; `value` is None if it was not measured."""

    text: str
    limit: float
    value: float | None
    most: bool = True
    """`limit` is the most there may be, else the least."""
    unit: str = ''

    @property
    def reached(self) -> bool | None:
        if self.value is None:
            return None
        return self.value <= self.limit if self.most else self.value >= self.limit


def _case(latency: dict | None, width: int, height: int, rate: float, faces: int) -> dict | None:
    wanted = {'width': width, 'height': height, 'rate': rate, 'faces': faces}
    return next((row for row in (latency or {}).get('cases', ()) if wanted.items() <= row.items()), None)


def goals(found: dict) -> list[Goal]:
    """The goals of the package, all ratios from one run."""
    latency, flat = found.get('latency'), found.get('flat', {}).get('flat')
    one, eight = _case(latency, 640, 480, 30.0, 1), _case(latency, 640, 480, 30.0, 8)
    vga, hd = _case(latency, 640, 480, 0.0, 1), _case(latency, 1920, 1080, 0.0, 1)
    return [
        Goal('inference, batch 1, one thread: time relative to ONNX Runtime alone', 1.2,
             found.get('stages', {}).get('over_onnxruntime')),
        Goal('node, one face, 640×480 at 30 frames/s: p50 relative to the pipeline alone', 1.3,
             one and one['overhead_ratio']),
        Goal('the same: p99 relative to p50', 2.5, one and one['tail_ratio']),
        Goal('the same with eight faces: p50 relative to one face', 2.5,
             one and eight and eight['p50_ms'] / one['p50_ms']),
        Goal('throughput at 640×480', 60.0, vga and vga['processed_fps'], False, ' frames/s'),
        Goal('throughput at 1920×1080', 30.0, hd and hd['processed_fps'], False, ' frames/s'),
        Goal('camera twice as fast as the node: p50 of the last minute relative to the first', 1.1,
             flat and 1 + flat['growth']),
    ]


def goal_table(rows: list[Goal]) -> str:
    lines = ['| | goal | measured | |', '| --- | --- | ---: | --- |']
    for goal in rows:
        value = '–' if goal.value is None else f'{goal.value:.1f}{goal.unit}' if goal.unit else f'{goal.value:.2f}'
        verdict = {True: 'reached', False: '**not reached**', None: 'not measured'}[goal.reached]
        lines.append(f'| {goal.text} | at {"most" if goal.most else "least"} {goal.limit:g}{goal.unit} | {value} | '
                     f'{verdict} |')
    return '\n'.join(lines)


def remainder(found: dict) -> str:
    """What the time of a frame is made of, and the least that it could be."""
    one = _case(found.get('latency'), 640, 480, 30.0, 1)
    stages = found.get('stages')
    if not one or not stages:
        return 'Not measured in this run.'
    parts = next(row for row in stages['stages'] if (row['width'], row['faces']) == (640, 1))['stages']
    inside = ', '.join(f'{name} {parts[name]["p50_ms"]:.1f}' for name in
                       ('detect', 'track', 'crop', 'recognise', 'smooth'))
    text = [f'640×480, one face, 30 frames/s: {one["p50_ms"]:.1f} ms from stamp to receipt (p50), of which the '
            f'pipeline alone takes {one["bare_p50_ms"]:.1f} ms at the same frame rate. Without pauses between frames, '
            f'its stages take: {inside} ms.']
    rest = one['p50_ms'] - one['bare_p50_ms']
    image = next((row for row in found.get('delivery', ()) if row['profile'] and row['width'] == 640
                  and row['reliability'] == 'best effort' and row['arrived']), None)
    text.append(f'The other {rest:.1f} ms are spent in ROS: '
                + (f'transferring an image to another process with an empty callback takes '
                   f'{image["latency_median_ms"]:.1f} ms, ' if image else '')
                + f'decoding it into an array {parts["decode"]["p50_ms"]:.2f} ms, and converting the result into a '
                f'message {parts["convert"]["p50_ms"]:.2f} ms, which then has to be delivered too.')
    floor = stages.get('floor')
    if floor:
        read = next(row for row in stages['recogniser'] if row['way'].startswith('fer_ros')
                    and (row['threads'], row['batch']) == (1, 1))
        text.append(f'Lower bound of the inference: the {floor["gmac"]:.3f} G multiplications per face take '
                    f'{floor["floor_ms"]:.1f} ms at the {floor["gflops"]:.0f} GFLOP/s that one thread reaches in a '
                    f'large matrix product; classifying one face takes {read["p50_ms"]:.1f} ms.')
    return '\n\n'.join(text)


def _delivery(rows: list[dict]) -> str:
    lines = ['| image | QoS | config/fastdds.xml | received | latency median / max |',
             '| --- | --- | --- | ---: | ---: |']
    for row in rows:
        median, most = (f'{row[f"latency_{name}_ms"]:.1f}' if row['arrived'] else '–' for name in ('median', 'most'))
        lines.append(f'| {row["width"]}×{row["height"]} | {row["reliability"]} | {"yes" if row["profile"] else "no"} | '
                     f'{row["arrived"]} of {row["sent"]} | {median} / {most} ms |')
    return '\n'.join(lines)


def _cameras(rows: list[dict]) -> str:
    lines = ['| cameras at 15 frames/s | CPU of a core, each node | frames/s each | latency median | memory each |',
             '| ---: | ---: | ---: | ---: | ---: |']
    lines += [f'| {r["cameras"]} | {r["cpu_percent_per_camera"]:.0f} % | {r["processed_per_second_per_camera"]:.1f} | '
              + ('–' if r['latency_median_ms'] is None else f'{r["latency_median_ms"]:.1f} ms')
              + f' | {r["memory_mb_per_camera"]:.0f} MB |' for r in rows]
    return '\n'.join(lines)


def _plot_cpu(rows: list[dict]) -> str:
    lines = ['| faces | axis | redraws/s | CPU of one core | memory |', '| ---: | ---: | ---: | ---: | ---: |']
    lines += [f'| {r["faces"]} | {r["seconds"]:g} s | {r["rate"]:g} (got {r["pictures_per_s"]:g}) | '
              f'{r["cpu_percent"]:g} % | {r["memory_mb"]} MB |' for r in rows]
    return '\n'.join(lines)


def _process_video(tables: dict[str, dict]) -> str:
    lines = ['| | frames/s | frames per second of processor time |', '| --- | ---: | ---: |']
    for name, row in tables['one process'].items():
        processor = f'{row["frames_per_processor_s"]:.0f}' if 'frames_per_processor_s' in row else '–'
        lines.append(f'| {name} | {row["frames_per_s"]:.0f} | {processor} |')
    lines += ['', '| | frames/s, 1 worker | 2 workers | ratio | memory of a worker |',
              '| --- | ---: | ---: | ---: | ---: |']
    lines += [f'| {name} | {row["one"]:.0f} | {row["two"]:.0f} | {row["ratio"]:.2f} | {row["memory_mb"]:.0f} MB |'
              for name, row in tables['several processes'].items()]
    decoding = ' and '.join(f'{100 * share:.0f} % at {size}' for size, share in tables['decoding'].items())
    lines += ['', 'Two programs with one worker each, started together, are '
              f'{tables["limit of the machine"]:.2f} times as fast as one: what the machine gives to two workers. Dask '
              f'takes {tables["part through Dask ms"]:.0f} ms for a part of a minute. Of the processor '
              f'time, decoding takes {decoding}.']
    return '\n'.join(lines)


def _flat(result: dict) -> str:
    r = result['flat']
    return (f'{r["minutes"]:g} minutes at 640×480: {r["camera_fps"]:.0f} frames/s sent, {r["processed_fps"]:.0f} '
            f'processed (closed loop: {r["node_fps_alone"]:.0f}), {r["dropped"]:,} dropped, {r["lost"]:,} not '
            f'delivered of {r["sent"]:,}. Latency p50 {r["p50_ms"]:.1f}, p99 {r["p99_ms"]:.1f} ms; first minute '
            f'{r["first_p50_ms"]:.1f}, last {r["last_p50_ms"]:.1f} ms; trend {r["slope_ms_per_minute"]:+.2f} ms per '
            f'minute.\n\n![Latency over time]({IMAGES}/benchmark_flat.png)')


def _latency(result: dict) -> str:
    from benchmarks.latency import table
    return (f'{table(result["cases"])}\n\n![Latency by size and rate, node and pipeline alone]'
            f'({IMAGES}/benchmark_latency.png)')


def _stages(result: dict) -> str:
    from benchmarks.stages import stage_table
    return (f'Median (p95) in milliseconds, network on {result["threads"]} thread{"s" * (result["threads"] > 1)}:\n\n'
            f'{stage_table(result["stages"])}\n\n![Stages of a frame]({IMAGES}/benchmark_stages.png)')


def _recogniser(result: dict) -> str:
    from benchmarks.stages import recogniser_table
    start = ', '.join(f'{name} {seconds:.1f} s' for name, seconds in result['start_up_s'].items())
    return f'{recogniser_table(result["recogniser"])}\n\nStart-up time: {start}.'


def _detect_every(result: dict) -> str:
    from benchmarks.detect_every import table
    return table(result['rows'])


def _accuracy(result: dict) -> str:
    from benchmarks.accuracy import table
    return table(result)


def _cuda(result: dict) -> str:
    from benchmarks.cuda import table
    return table(result)


SECTIONS: dict[str, tuple[str, Callable]] = {
    'stages': ('stages', _stages), 'recogniser': ('stages', _recogniser), 'detect every': ('detect_every',
                                                                                          _detect_every),
    'latency': ('latency', _latency), 'flat': ('flat', _flat), 'delivery': ('delivery', _delivery),
    'cameras': ('cameras', _cameras), 'plot': ('plot_cpu', _plot_cpu), 'process_video': ('process_video',
                                                                                         _process_video),
    'accuracy': ('accuracy', _accuracy), 'cuda': ('cuda', _cuda),
}
"""Of the document: the benchmark that a section is of, and its text."""


def write(found: dict, missing: dict[str, str], facts: dict, docs: Path) -> None:
    """Fill the document and draw its pictures.

    Args:
        facts: of the run: when, how long, machine and command.

    Raises:
        ValueError: a mark is missing in the document.
    """
    text = (docs if docs.exists() else DOCS).read_text(encoding='utf-8')
    run_text = f'{facts["when"]}, `{facts["command"]}`, {facts["minutes"]:.0f} minutes. {described(facts["machine"])}'
    if missing:
        run_text += '\n\nNot measured: ' + '; '.join(f'{name} ({why})' for name, why in missing.items()) + '.'
    text = fill(text, 'run', run_text)
    text = fill(text, 'goals', goal_table(goals(found)))
    text = fill(text, 'remainder', remainder(found))
    for section, (name, make) in SECTIONS.items():
        text = fill(text, section, make(found[name]) if name in found else f'Not measured: {missing[name]}.')
    draw(found, docs.parent / IMAGES)
    write_file(docs, text.encode())


def draw(found: dict, folder: Path) -> None:
    """The pictures of what was measured."""
    import matplotlib
    matplotlib.use('Agg')
    folder.mkdir(parents=True, exist_ok=True)
    if 'stages' in found:
        _draw_stages(found['stages'], folder / 'benchmark_stages.png')
    if 'latency' in found:
        _draw_latency(found['latency']['cases'], folder / 'benchmark_latency.png')
    if 'flat' in found:
        _draw_flat(found['flat']['flat'], folder / 'benchmark_flat.png')


def _save(figure, path: Path) -> None:
    from matplotlib import pyplot
    with completed(path) as temporary:
        figure.savefig(temporary, dpi=100)
    pyplot.close(figure)


def _draw_stages(result: dict, path: Path) -> None:
    from matplotlib import pyplot

    from benchmarks.stages import STAGES
    rows = result['stages'][::-1]
    labels = [f'{row["width"]}×{row["height"]}, {row["faces"]} face{"s" * (row["faces"] > 1)}' for row in rows]
    figure, axis = pyplot.subplots(figsize=(9, 4), layout='constrained')
    left = [0.0] * len(rows)
    for stage, colour in zip(STAGES, COLOURS, strict=True):
        widths = [row['stages'][stage]['p50_ms'] for row in rows]
        axis.barh(labels, widths, left=left, color=colour, label=stage)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axis.set(xlabel='milliseconds, median of each stage')
    figure.legend(ncols=len(STAGES), loc='outside upper center')
    axis.grid(axis='x', alpha=0.3)
    _save(figure, path)


def _draw_latency(cases: list[dict], path: Path) -> None:
    from matplotlib import pyplot
    labels = [f'{r["width"]}×{r["height"]}, {r["faces"]} face{"s" * (r["faces"] > 1)}\n'
              + (f'{r["rate"]:g} frames/s' if r['rate'] else 'maximum') for r in cases]
    figure, axis = pyplot.subplots(figsize=(9, 1 + 0.42 * len(cases)), layout='constrained')
    for i, row in enumerate(cases):
        for shift, prefix, colour, name in ((-0.17, '', COLOURS[0], 'node, stamp to receipt'),
                                            (0.17, 'bare_', COLOURS[1], 'pipeline alone')):
            p50, p95, p99 = (row[f'{prefix}{p}_ms'] for p in ('p50', 'p95', 'p99'))
            axis.barh(i + shift, p50, 0.32, color=colour, label=name if i == 0 else None)
            axis.plot((p50, p99), (i + shift,) * 2, color='0.3', linewidth=1)
            axis.plot((p95, p99), (i + shift,) * 2, '|', color='0.3', markersize=6)
    axis.set_yticks(range(len(cases)), labels, fontsize=8)
    axis.invert_yaxis()
    axis.set(xlabel='milliseconds: p50, p95 and p99')
    figure.legend(ncols=2, loc='outside upper center')
    axis.grid(axis='x', alpha=0.3)
    _save(figure, path)


def _draw_flat(result: dict, path: Path) -> None:
    from matplotlib import pyplot
    figure, axis = pyplot.subplots(figsize=(9, 3), layout='constrained')
    seconds = [row['second'] for row in result['series']]
    axis.plot(seconds, [row['most_ms'] for row in result['series']], color=COLOURS[1], linewidth=0.8,
              label='longest of each second')
    axis.plot(seconds, [row['p50_ms'] for row in result['series']], color=COLOURS[0], label='p50 of each second')
    axis.set(xlabel='seconds', ylabel='latency [ms]', ylim=(0, None))
    figure.legend(ncols=2, loc='outside upper center')
    axis.grid(alpha=0.3)
    _save(figure, path)


def _report(options: argparse.Namespace) -> None:
    folder = options.out
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [program for program in PROGRAMS if options.only is None or program.name in options.only]
    start = time.monotonic()
    with tqdm(wanted, unit='benchmark', disable=not wanted) as bar:
        for program in bar:
            bar.set_description(program.name)
            measure(program, folder, options.quick)
    record = folder / 'run.json'
    if wanted or not record.exists():
        now = datetime.now(timezone.utc)  # datetime.UTC is not in Python 3.10
        command = 'make bench' if options.only is None and not options.quick else (
            f'python -m benchmarks.report{" --quick" * options.quick}'
            + (' --only ' + ' '.join(options.only) if options.only else ''))
        facts = {'when': f'{now:%Y-%m-%d}', 'minutes': (time.monotonic() - start) / 60, 'command': command,
                 'machine': machine()}
        write_file(record, (json.dumps(facts, indent=1) + '\n').encode())
    found, missing = load(folder)
    if options.docs != DOCS and not options.docs.exists():
        options.docs.parent.mkdir(parents=True, exist_ok=True)
    write(found, missing, json.loads(record.read_text()), options.docs)
    print(goal_table(goals(found)))
    print(options.docs)
    failed = [program.name for program in wanted if program.name in missing and program.name != 'accuracy']
    if failed:
        raise ValueError(f'failed: {", ".join(f"{name} ({missing[name]})" for name in failed)}')


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code: 1 when a benchmark failed, though the others are reported."""
    names = [program.name for program in PROGRAMS]
    parser = argparse.ArgumentParser(prog='python -m benchmarks.report', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('runs/bench'), help='folder of the figures (default: '
                        '%(default)s)')
    parser.add_argument('--docs', type=Path, default=DOCS, help='document to fill (default: docs/benchmarks.md)')
    parser.add_argument('--quick', action='store_true', help='short runs, to check the report itself')
    parser.add_argument('--only', nargs='*', choices=names, help='measure only these')
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return run('report', lambda: _report(options))


if __name__ == '__main__':
    sys.exit(main())
