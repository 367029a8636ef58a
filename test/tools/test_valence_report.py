"""valence_report as it is started by a person: from the files of process_video to a page, and mistakes."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fer_ros.recordings import study_files
from fer_ros.tools.valence_report import main

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'recordings'))
from test_dataset import needs_pyarrow, write_recording

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        write_recording(tmp_path / 'results', f's{number}', np.full(5, number / 10), parquet=False)
    return tmp_path / 'results'


def report(capsys, *arguments) -> tuple[int, str, list[str]]:
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err.splitlines()


def groups_file(path: Path, text: str = '') -> Path:
    path.write_text(text or 'recording,group\n' + ''.join(f's{i},{"ab"[i // 3]}\n' for i in range(6)))
    return path


def test_the_page_is_written_and_says_what_the_files_say(folder, capsys):
    groups = groups_file(folder / 'groups.csv')
    code, out, err = report(capsys, folder, '--groups', groups, '--out', folder / 'sub' / 'report.html')
    assert (code, err) == (0, [])
    assert '6 sessions' in out
    page = (folder / 'sub' / 'report.html').read_text(encoding='utf-8')
    assert '<h1>Valence in results</h1>' in page
    assert '<b>0.30 more positive</b>' in page
    assert json.loads((folder / 's5.json').read_text())['mean_valence'] == 0.5
    assert '+0.50 ± 0.00' in page


@needs_pyarrow
def test_a_dataset_without_csv_files_gives_the_same_page(folder, tmp_path, capsys):
    for number in range(6):
        write_recording(folder, f's{number}', np.full(5, number / 10))
    pages = []
    for given in (folder, folder, folder / 'tables' / 'faces'):
        assert report(capsys, given, '--out', tmp_path / 'report.html', '--title', 'x')[0] == 0
        pages.append((tmp_path / 'report.html').read_text())
        for path in folder.glob('*.csv'):
            path.unlink()
    assert pages[0] == pages[1]
    assert '6 sessions' in pages[2]


def test_foreign_unfinished_and_damaged_files_are_named(folder, tmp_path, capsys):
    (folder / 'notes.csv').write_text('a,b\n1,2\n')
    (folder / 'latin.csv').write_bytes(b'\xe9\n')
    (folder / 'u.partial.csv').write_text('')
    (folder / 's1.csv').write_text((folder / 's1.csv').read_text()[:-30])
    code, out, err = report(capsys, folder, '--out', tmp_path / 'report.html')
    assert code == 1 and '5 sessions' in out
    assert err == ['valence_report: left out, since it is of another program: latin.csv',
                   'valence_report: left out, since it is of another program: notes.csv',
                   'valence_report: left out, since it is not finished: u',
                   f'valence_report: {folder / "s1.csv"}: row 5 has 15 columns instead of 19: it was cut or edited']
    assert 'row 5 has 15 columns' in (tmp_path / 'report.html').read_text()


@pytest.mark.parametrize(('text', 'said'), [
    ('recording,group\ns0,a\nnobody,b\n', "line 3: there is no recording 'nobody'; names are those of the CSV files"),
    ('recording,group\ns0,a\ns1,b\ns2,c\n', "has 3 groups ('a', 'b', 'c'): two can be compared"),
    ('recording,group\ns0,a\n', 'has 1 groups'),
    ('recording,group\ns0,a\ns0,b\n', "'s0' is in two groups"),
    ('recording,group\ns0\n', 'line 2: expected the name'),
    ('name,condition\ns0,a\n', "begins with 'name,condition' instead of recording,group"),
    ('\n', "begins with '' instead of"),
    (None, 'No such file or directory: --groups takes a CSV file')])
def test_mistakes_in_groups_are_told_in_one_line(folder, tmp_path, capsys, text, said):
    path = tmp_path / 'groups.csv'
    if text is not None:
        path.write_text(text)
    code, _, err = report(capsys, folder, '--groups', path, '--out', tmp_path / 'report.html')
    assert (code, len(err)) == (1, 1)
    assert said in err[0] and str(path) in err[0]
    assert not (tmp_path / 'report.html').exists()


def test_groups_as_spreadsheets_write_them(folder, tmp_path, capsys):
    path = tmp_path / 'groups.csv'
    path.write_bytes(b'\xef\xbb\xbfRecording;Group\r\ns0;a\r\n"s1"; a\r\ns2;b\r\n;\r\n')
    assert report(capsys, folder, '--groups', path, '--out', tmp_path / 'report.html')[0] == 0
    assert '3 sessions without a group' in (tmp_path / 'report.html').read_text()


def test_files_longer_than_a_part_are_read_whole_and_their_rows_counted(folder, tmp_path, capsys, monkeypatch):
    before = report(capsys, folder, '--out', tmp_path / 'a.html')
    monkeypatch.setattr(study_files, '_PART', 2)
    assert report(capsys, folder, '--out', tmp_path / 'b.html')[0] == before[0] == 0
    assert (tmp_path / 'a.html').read_text() == (tmp_path / 'b.html').read_text()
    lines = (folder / 's2.csv').read_text().splitlines()
    (folder / 's2.csv').write_text('\n'.join([*lines[:5], lines[5].replace('happy', 'glad')]) + '\n')
    (folder / 's3.csv').write_text('\n'.join([*lines[:5], lines[5].replace('4.000000', 'late')]) + '\n')
    code, _, err = report(capsys, folder, '--out', tmp_path / 'b.html')
    assert code == 1
    assert [line.partition('.csv: ')[2] for line in err] == ["row 5: emotion 'glad' is unknown",
                                                            "row 5: time_s 'late' is not a number"]


def test_nothing_to_report_is_told_in_one_line(tmp_path, capsys):
    def told(given):
        code, _, err = report(capsys, given, '--out', tmp_path / 'report.html')
        assert (code, len(err)) == (1, 1)
        return err[0]
    (tmp_path / 'empty').mkdir()
    assert f'no results in {tmp_path / "empty"}: give the output folder' in told(tmp_path / 'empty')
    assert 'none is not a folder' in told(tmp_path / 'none')
    (tmp_path / 'empty' / 'x.csv').write_text('a,b\n')
    assert '(x.csv is of another program)' in told(tmp_path / 'empty')
    assert not (tmp_path / 'report.html').exists()


def test_no_table_is_overwritten_and_no_fifo_waited_for(folder, tmp_path, capsys):
    before = (folder / 's0.csv').read_bytes()
    with pytest.raises(SystemExit) as error:
        main([str(folder), '--out', str(folder / 's0.csv')])
    assert error.value.code == 2 and 's0.csv does not end in .html' in capsys.readouterr().err
    assert (folder / 's0.csv').read_bytes() == before
    os.mkfifo(folder / 'fifo.csv')
    (tmp_path / 'folder.html').mkdir()
    code, _, err = report(capsys, folder, '--out', tmp_path / 'folder.html')
    assert (code, len(err)) == (1, 1)
    assert 'folder.html' in err[0] and 'Errno' not in err[0]


def test_photos_and_old_outputs_without_summaries(folder, tmp_path, capsys):
    write_recording(folder, 'photos', (0.5, -0.5), parquet=False, photos=('a.jpg', 'b.jpg'))
    for path in folder.glob('*.json'):
        path.unlink()
    assert report(capsys, folder, '--out', tmp_path / 'report.html')[0] == 0
    page = (tmp_path / 'report.html').read_text()
    assert '2 photos' in page and page.count('<polyline') == 6


def test_as_a_program_with_names_that_the_terminal_lacks(folder, tmp_path):
    shutil.copy(folder / 's0.csv', folder / 'grün.csv')
    with (tmp_path / 'groups.csv').open('w', encoding='utf-8') as file:
        csv.writer(file).writerows([('recording', 'group'), ('grün', '<i>a'), ('s1', 'b')])
    done = subprocess.run([sys.executable, '-m', 'fer_ros.tools.valence_report', folder, '--groups',
                           tmp_path / 'groups.csv', '--out', tmp_path / 'ü.html'], cwd=ROOT, text=True, timeout=120,
                          env={**os.environ, 'PYTHONIOENCODING': 'ascii'}, capture_output=True,
                          check=False)
    assert (done.returncode, done.stderr) == (0, '')
    assert 'grün' in (tmp_path / 'ü.html').read_text(encoding='utf-8')
    assert r'\xfc.html: 7 sessions' in done.stdout
