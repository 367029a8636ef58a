"""A study as one HTML page, from the results of process_video: all its sessions, and two groups of them compared.

    python -m fer_ros.tools.valence_report results --groups groups.csv --out report.html

groups.csv has the columns recording and group. Exit codes: 0 success, 1 nothing to report or a damaged file, 2 invalid
arguments.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fer_ros.atomic_files import write_file
from fer_ros.drawing.study_report import study_report
from fer_ros.media.file_names import without_errno
from fer_ros.recordings.study_files import StudyError, read_groups, read_study
from fer_ros.tools.terminal import ends_on_ctrl_c, replace_unprintable, visible


@ends_on_ctrl_c('valence_report')
def main(args: Sequence[str] | None = None) -> int:
    """Entry point."""
    replace_unprintable()
    options = _parse(args)
    folder, out = options.folder.expanduser(), options.out.expanduser()
    groups_file = None if options.groups is None else options.groups.expanduser()
    try:
        study = read_study(folder, leave_out=groups_file)
        names = [session.name for session in study.sessions]
        groups = read_groups(groups_file, names) if groups_file is not None else {}
        title = options.title or f'Valence in {folder.resolve().name or folder}'
    except StudyError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(without_errno(error))
    try:
        write_file(out, study_report(title, study, groups).encode(errors='backslashreplace'))
    except OSError as error:
        return _fail(f'{out} cannot be written: {error.strerror or error}')
    for name in study.foreign:
        _tell(f'left out, since it is of another program: {name}')
    for name in study.unfinished:
        _tell(f'left out, since it is not finished: {name}')
    for text in study.damaged:
        _tell(text)
    print(visible(f'{out}: {len(names)} sessions'))
    return 1 if study.damaged else 0


def _fail(error: str) -> int:
    _tell(error)
    return 1


def _tell(text: str) -> None:
    print(f'valence_report: {visible(text)}', file=sys.stderr)


def _parse(args: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='valence_report', description=__doc__.split('\n\n')[0])
    parser.add_argument('folder', type=Path, metavar='FOLDER', help='output folder of process_video')
    parser.add_argument('--groups', type=Path, metavar='CSV',
                        help='file with the columns recording and group: two groups are compared')
    parser.add_argument('--out', type=Path, default=Path('report.html'), metavar='HTML',
                        help='the page (default: %(default)s)')
    parser.add_argument('--title', default='', help='title of the page (default: after the folder)')
    options = parser.parse_args(args)
    if options.out.suffix.lower() not in ('.html', '.htm'):  # it might be a table of the study
        parser.error(f'argument --out: {options.out} does not end in .html')
    return options


if __name__ == '__main__':
    sys.exit(main())
