"""Reads the sessions of a study from an output folder of process_video, and the groups of the sessions from a CSV."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from sys import intern
from typing import Any

import numpy as np

from fer_ros.media.file_names import without_errno
from fer_ros.media.frame_sources import natural_order
from fer_ros.recordings.dataset import faces_files
from fer_ros.results import faces_csv, wire
from fer_ros.results.faces_parquet import ParquetError, read_columns
from fer_ros.results.session_line import mean_line
from fer_ros.results.session_summary import summarise
from fer_ros.results.session_table import NEEDED, TEXTS, TableError, numbers, session_of
from fer_ros.results.study import Study, StudySession

COLUMNS = 300
"""Maximum number of points of a line."""
HEAD = ('recording', 'group')
"""First line of a file of groups."""
_PART = 20_000
"""Rows that are read at a time."""
_MOST = 1_000_000
"""Maximum of a step between frames, or of a number of photos."""


class StudyError(Exception):
    """There is nothing to report, or the groups are wrong; the message is one line with the remedy."""


class _Foreign(Exception):
    pass


def read_study(folder: Path, leave_out: Path | None = None) -> Study:
    """Read all sessions in a folder: NAME.csv with NAME.json, or where there is no CSV, the Parquet dataset.

    Args:
        folder: output folder of process_video, or a dataset.
        leave_out: a CSV file that is no session.

    Raises:
        StudyError: there is no session.
        OSError: the folder cannot be read.
    """
    if not folder.is_dir():
        raise StudyError(f'{folder} is not a folder: give the output folder of process_video')
    study, names = Study(), set()
    tables = [path for path in folder.iterdir() if path.suffix == '.csv' and path.is_file()]
    for path in sorted(tables, key=natural_order):
        if leave_out is not None and leave_out.exists() and path.samefile(leave_out):
            continue
        if path.stem.endswith('.partial'):
            study.unfinished.append(path.stem.removesuffix('.partial'))
            continue
        names.add(path.stem)
        try:
            columns = _columns(path)
            study.sessions.append(_session(path.stem, columns, _summary(folder, path.stem)))
        except _Foreign:
            study.foreign.append(path.name)
        except TableError as error:
            study.damaged.append(f'{path}: {error}')
        except OSError as error:
            study.damaged.append(without_errno(error))
    for path in faces_files(folder):
        _add_parquet(study, path, folder, names)
    if not study.sessions:
        told = study.damaged or [f'no results in {folder}: give the output folder of process_video'
                                 + (f' ({study.foreign[0]} is of another program)' if study.foreign else '')]
        raise StudyError(told[0])
    return study


def _add_parquet(study: Study, path: Path, folder: Path, names: set[str]) -> None:
    try:
        name, columns = read_columns(path)
        if name in names:
            return
        names.add(name)
        study.sessions.append(_session(name, columns, _summary(folder, name)))
    except ParquetError as error:
        study.damaged.append(str(error))
    except TableError as error:
        study.damaged.append(f'{path}: {error}')
    except OSError as error:
        study.damaged.append(without_errno(error))


def _columns(path: Path) -> Mapping[str, Sequence]:
    """The columns that are needed, and ``photo`` if there is one. Raises _Foreign, TableError, OSError."""
    with path.open(encoding='utf-8', newline='') as file:
        reader = csv.reader(file)
        try:
            head = tuple(next(reader, ()))
            if head not in (faces_csv.COLUMNS, (*faces_csv.COLUMNS, 'photo')):
                raise _Foreign
            return _gathered(head, reader)
        except UnicodeDecodeError as error:
            raise _Foreign from error
        except csv.Error as error:
            raise TableError(f'line {reader.line_num}: {error}') from error


def _gathered(head: Sequence[str], reader: Iterator[list[str]]) -> dict[str, Any]:
    """The columns of the rows, part by part: as texts, those of a long recording would take gigabytes."""
    texts: dict[str, list[str]] = {name: [] for name in (*TEXTS, *(('photo',) if 'photo' in head else ()))}
    parts: dict[str, list[np.ndarray]] = {name: [np.zeros(0)] for name in NEEDED if name not in TEXTS}
    count = 0
    while rows := list(islice(reader, _PART)):
        for number, row in enumerate(rows, count + 1):
            if len(row) != len(head):
                raise TableError(f'row {number} has {len(row)} columns instead of {len(head)}: it was cut or edited')
        for name, values in zip(head, zip(*rows, strict=True), strict=True):
            if name in texts:
                texts[name] += map(intern, values)
            elif name in parts:
                parts[name].append(numbers(name, values, count + 1))
        count += len(rows)
    return {**texts, **{name: np.concatenate(arrays) for name, arrays in parts.items()}}


def _summary(folder: Path, name: str) -> Mapping:
    try:
        found = json.loads((folder / f'{name}.json').read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _session(name: str, columns: Mapping[str, Sequence], summary: Mapping) -> StudySession:
    """Raises TableError."""
    settings = summary.get('settings')
    is_photos = 'photos' in summary or any(columns.get('photo') or ())
    session = session_of({key: columns[key] for key in NEEDED}, int(_number(summary.get('frames'))),
                         _number(summary.get('duration_s')),
                         int(_number(settings.get('every') if isinstance(settings, dict) else 0, _MOST)), is_photos)
    photos = max(int(_number(summary.get('photos'), _MOST)), len(session.times)) if is_photos else 0
    return StudySession(name, summarise(session), [] if is_photos else mean_line(session, COLUMNS),
                        float(session.times[-1]) if len(session.times) else 0.0, photos,
                        wire.shown(str(summary.get('warning') or '')))


def _number(value: Any, most: float = 1e9) -> float:
    """`value` if it is a positive number, else 0."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= most else 0


def read_groups(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Read the group of each session: a CSV file with the columns of `HEAD`, separated by commas or semicolons.

    Args:
        path: the file.
        names: of all sessions.

    Returns:
        Two groups by name of the session, in the order of the file.

    Raises:
        StudyError: see there.
    """
    try:
        with path.open(encoding='utf-8-sig', newline='') as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=';' if ';' in first else ',')
            rows = [[cell.strip() for cell in row] for row in reader if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = without_errno(error) if isinstance(error, OSError) else f'{path}: {error}'
        raise StudyError(f'{why}: --groups takes a CSV file in UTF-8 with the columns {" and ".join(HEAD)}') from error
    if not rows or [cell.lower() for cell in rows[0]] != list(HEAD):
        raise StudyError(f'{path} begins with {wire.shortened(",".join(rows[0]) if rows else "")} instead of '
                         f'{",".join(HEAD)}')
    groups: dict[str, str] = {}
    for number, row in enumerate(rows[1:], 2):
        if len(row) != 2 or not all(row):
            raise StudyError(f'{path}, line {number}: expected the name of a recording and its group')
        name, group = row
        if name not in names:
            raise StudyError(f'{path}, line {number}: there is no recording {wire.shortened(name)}; names are those of '
                             f'the CSV files without .csv, for example {wire.shortened(names[0])}')
        if groups.get(name, group) != group:
            raise StudyError(f'{path}, line {number}: {wire.shortened(name)} is in two groups')
        groups[name] = group
    if len(found := list(dict.fromkeys(groups.values()))) != 2:
        told = ', '.join(wire.shortened(group) for group in found[:5])
        raise StudyError(f'{path} has {len(found)} groups ({told}): two can be compared')
    return groups
