"""Emotion and valence from recordings and photos: video files, bags, photos, folders or URLs of these, or a camera.

    python -m fer_ros.tools.process_video talk.mp4 drive_bag/ --output results --annotated

For each input NAME it writes NAME.csv (one row per face and frame), NAME.json (a summary), NAME.png (valence over time)
and, with --annotated, NAME.mp4; of photos, NAME.png is a contact sheet. tables/ has one row per recording
(recordings.csv) and, with --format parquet, all rows as one dataset. Exit codes: 0 success, 1 an input failed or was
damaged, 2 invalid arguments, 130 and 143 interrupted.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

from fer_ros.media.file_names import without_errno
from fer_ros.media.urls import is_url
from fer_ros.parameters import FER_NODE, by_name
from fer_ros.recordings.inputs import Found, Input, search
from fer_ros.recordings.processing import FORMATS, Settings, finished
from fer_ros.recordings.recordings_table import write_table
from fer_ros.recordings.remote_output import RemoteOutput
from fer_ros.recordings.runs import Outcome, PoolError, Workers, process_all
from fer_ros.results import faces_parquet
from fer_ros.tools.terminal import ends_on_ctrl_c, replace_unprintable, visible

_PARAMETERS = by_name(FER_NODE)
_SKIPPED = 10
"""Files that are named of those skipped in folders."""


@ends_on_ctrl_c('process_video')
def main(args: Sequence[str] | None = None) -> int:
    """Entry point."""
    replace_unprintable()
    options = _parse(args)
    settings = Settings(topic=options.topic, every=options.every, max_faces=options.max_faces,
                        seconds=options.seconds, rotate=options.rotate, annotated=options.annotated,
                        model=options.model, device=options.device, runtime=options.runtime,
                        precision=options.precision, detector=options.detector, detector_model=options.detector_model,
                        format=options.format, part_s=options.part_seconds, hwaccel=options.hwaccel)
    if options.format == 'parquet':
        try:
            faces_parquet.check()
        except faces_parquet.ParquetError as error:
            return _fail(str(error))
    remote = None
    if is_url(options.output):
        try:
            remote = RemoteOutput(options.output)
        except OSError as error:
            return _fail(str(error))
    folder = Path(options.output).expanduser() if remote is None else remote.folder
    found = search(options.inputs, leave_out=folder, leave_out_url='' if remote is None else remote.url)
    items = found.inputs
    _tell_skipped(found)
    if not items and len(found.broken) == 1:
        return _fail(found.broken[0])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        return _fail(f'{folder} is a file: give another --output')
    except OSError as error:
        return _fail(without_errno(error))
    if options.resume:
        done = [item for item in items if _finished(item, folder, settings)]
        items = [item for item in items if item not in done]
        print(f'{len(done)} of {len(done) + len(items)} inputs are already finished')
    workers = Workers(options.jobs or _default_jobs(items), options.scheduler, options.dask_dashboard)
    try:
        code = _run(items, found.broken, folder, settings, workers, options.resume, remote)
        write_table(folder, options.format == 'parquet')
        if remote is not None:
            code = _deliver(remote, options.format == 'parquet') or code
    except PoolError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(without_errno(error))
    return code


def _push(remote: RemoteOutput, bar: tqdm) -> None:
    try:
        remote.push()
    except OSError as error:
        bar.write(visible(f'{error}: tried again later'), file=sys.stderr)


def _deliver(remote: RemoteOutput, parquet: bool) -> int:
    """Move what is still here to the URL: the exit code."""
    try:
        if not parquet:
            remote.without_parquet()
        remote.push()
    except OSError as error:
        return _fail(f'{error}: {_kept(remote)}')
    except KeyboardInterrupt:
        _fail(f'interrupted: {_kept(remote)}')
        return 130
    remote.close()
    return 0


def _kept(remote: RemoteOutput) -> str:
    return f'the results are in {remote.folder}, and the next run with this --output moves them'


def _default_jobs(items: Sequence[Input]) -> int:
    """One process for every two processors, at most one per input; a single one if Dask is not installed."""
    recordings = sum(item.kind != 'camera' for item in items)
    return max(1, min(recordings, (os.cpu_count() or 1) // 2)) if find_spec('distributed') else 1


def _tell_skipped(found: Found) -> None:
    if found.skipped:
        names = ', '.join(map(visible, found.skipped[:_SKIPPED]))
        more = len(found.skipped) - _SKIPPED
        print(f'{len(found.skipped)} files are neither recordings nor photos: {names}'
              + (f' and {more} more' if more > 0 else ''))


def _finished(item: Input, folder: Path, settings: Settings) -> bool:
    try:
        return finished(item, folder, settings)
    except OSError:  # it was removed meanwhile, which reading it reports
        return False


def _run(items: list[Input], broken: list[str], folder: Path, settings: Settings, workers: Workers,
         resume: bool, remote: RemoteOutput | None) -> int:
    received: list[int] = []
    before = {number: signal.signal(number, lambda number, _: received.append(number))
              for number in (signal.SIGINT, signal.SIGTERM)}
    failed = list(broken)
    interrupted: list[Input] = []
    # Bytes of the inputs: the only measure of work that is known without opening them all.
    with tqdm(total=sum(item.size for item in items) or None, unit='B', unit_scale=True,
              disable=None if items else True,  # None: only in a terminal
              bar_format=None if any(item.kind == 'camera' for item in items)
              else '{l_bar}{bar}| {elapsed}<{remaining}{postfix}') as bar:
        shown = _Progress(bar)

        def ended(outcome: Outcome) -> None:
            shown.end(outcome.item, outcome.summary['frames'] if outcome.summary is not None else 0)
            if not outcome.interrupted:
                outcome.item.release()
            if outcome.summary is not None:
                if remote is not None:
                    _push(remote, bar)
                bar.write(_line(outcome.item, outcome.summary))
                for hint in outcome.summary['hints']:
                    bar.write(f'  {hint}')
                if outcome.summary['warning']:
                    failed.append(outcome.summary['warning'])
            elif outcome.interrupted:
                interrupted.append(outcome.item)
            else:
                failed.append(outcome.error)

        try:
            process_all(items, folder, settings, workers, resume, shown.update, ended, lambda: bool(received),
                        lambda line: bar.write(line, file=sys.stderr))
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    if failed:
        print(f'{len(failed)} of {len(items) + len(broken)} inputs failed or are damaged:', file=sys.stderr)
        for text in failed:
            print(f'  {visible(text)}', file=sys.stderr)
    if received and (interrupted or any(item.kind != 'camera' for item in items)):
        place = folder if remote is None else f'{remote.shown} and {folder}'
        print(visible(f'interrupted: finished inputs and partial CSV files are in {place}; continue with --resume'),
              file=sys.stderr)
        return 128 + received[0]
    return 1 if failed else 0


class _Progress:
    """The progress bar, and the total frames per second of all processes."""

    def __init__(self, bar: tqdm) -> None:
        self._bar = bar
        self._start = time.monotonic()
        self._frames: dict[Input, int] = {}
        self._bytes: dict[Input, float] = {}

    def update(self, item: Input, frames: int, share: float) -> None:
        """Say how many frames of `item` were analysed, and which share of its bytes was read."""
        self._frames[item] = max(frames, self._frames.get(item, 0))
        self._advance(item, share)
        rate = sum(self._frames.values()) / max(time.monotonic() - self._start, 1e-3)
        self._bar.set_postfix_str(f'{rate:.0f} frames/s, {item.name}')

    def end(self, item: Input, frames: int) -> None:
        """Say that `item` is done with, after so many frames."""
        self.update(item, frames, 1.0)

    def _advance(self, item: Input, share: float) -> None:
        before = self._bytes.get(item, 0.0)
        self._bytes[item] = max(before, share * item.size)
        self._bar.update(self._bytes[item] - before)


def _line(item: Input, summary: dict) -> str:
    valence = summary['mean_valence']
    amount = (f'{summary["photos"]} photos' if 'photos' in summary
              else f'{summary["duration_s"]:.1f} s, {summary["frames"]} frames')
    return (f'{item.name}: {amount}, '
            f'{summary["faces_seen"]} faces, mean valence {"none" if valence is None else f"{valence:+.2f}"}, '
            f'{summary["frames_per_second"]:.0f} frames/s')


def _fail(error: str) -> int:
    print(f'process_video: {visible(error)}', file=sys.stderr)
    return 1


def _number(low: float, high: float, kind: type = int):
    def convert(text: str):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f'{text!r} is not a number from {low:g} to {high:g}')
        return value
    return convert


def _described(parameter: str) -> str:
    return _PARAMETERS[parameter].description.replace('%', '%%')  # as argparse takes its help texts


def _parse(args: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='process_video', description=__doc__.split('\n\n')[0])
    parser.add_argument('inputs', nargs='+', metavar='INPUT',
                        help='video file, bag, photo, folder or URL (s3://, https://, …) of these, or camera (0, '
                        '/dev/video0)')
    parser.add_argument('--output', default='process_video_output', metavar='DIR',
                        help='output folder, or its URL (default: %(default)s)')
    parser.add_argument('--annotated', action='store_true',
                        help='also write a video with boxes, emotions and the plot of valence')
    parser.add_argument('--format', default=Settings().format, choices=FORMATS,
                        help='parquet: besides CSV, also one Parquet dataset of all recordings, in tables/faces; needs '
                        'pyarrow (default: %(default)s)')
    parser.add_argument('--topic', default='', help='image topic of bags with several image topics')
    parser.add_argument('--every', type=_number(1, 1_000_000), default=1, metavar='N',
                        help='process every N-th frame only')
    faces = _PARAMETERS['max_faces']
    assert faces.range is not None
    parser.add_argument('--max-faces', type=_number(*faces.range), default=faces.default, metavar='N',
                        help='maximum number of faces per frame, the largest (default: %(default)s)')
    parser.add_argument('--seconds', type=_number(0, 1e9, float), default=0.0, metavar='S',
                        help='process only the first S seconds of each input; 0: all')
    rotate = _PARAMETERS['rotate']
    parser.add_argument('--rotate', type=int, default=rotate.default, choices=rotate.choices,
                        help='degrees clockwise by which frames are turned so that they stand upright, after what a '
                        'video says of its own rotation (default: %(default)s)')
    parser.add_argument('--jobs', type=_number(0, 256), default=0, metavar='N',
                        help='number of worker processes on this computer, which also share a single long recording; '
                        '1: without Dask; 0: one for every two processors, at most one per input')
    parser.add_argument('--scheduler', default='', metavar='ADDRESS',
                        help='use the workers of the Dask cluster whose scheduler is at this address (tcp://host:8786, '
                        'tls://host:8786); they must see the inputs under the same paths')
    parser.add_argument('--dask-dashboard', type=_number(1, 65535), default=0, metavar='PORT',
                        help='show the dashboard of Dask for --jobs at this port, on this computer only; needs bokeh')
    parser.add_argument('--part-seconds', type=_number(1, 86_400, float), default=Settings().part_s, metavar='S',
                        help='length of the parts into which long recordings are cut; the search for faces begins anew '
                        'at each (default: %(default)s)')
    parser.add_argument('--hwaccel', default='', metavar='KIND',
                        help='decode video with this kind of device, by the name that FFmpeg has for it: cuda for '
                        'GPUs of NVIDIA; the processor decodes codecs that the device lacks')
    parser.add_argument('--resume', action='store_true',
                        help='skip inputs that were finished with the same settings, and parts of them')
    parser.add_argument('--model', default='', help=_described('model'))
    parser.add_argument('--device', default=_PARAMETERS['device'].default, help=_described('device'))
    runtime = _PARAMETERS['runtime']
    parser.add_argument('--runtime', default=runtime.default, choices=runtime.choices, help=_described('runtime'))
    parser.add_argument('--precision', default=Settings().precision, choices=_PARAMETERS['precision'].choices,
                        help='of the network in ONNX Runtime; auto takes int8 where it is much faster, so that results '
                        'depend on the processor (default: %(default)s)')
    detector = _PARAMETERS['detector']
    parser.add_argument('--detector', default=detector.default, choices=detector.choices, help=_described('detector'))
    parser.add_argument('--detector-model', default='', help=_described('detector_model'))
    return parser.parse_args(args)


if __name__ == '__main__':
    sys.exit(main())
