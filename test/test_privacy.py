import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_onnx_runtime_reports_to_no_one(tmp_path):
    """Its reporting begins with an identifier and a queue on disk, at the import."""
    pytest.importorskip('onnxruntime')
    # In what it takes for a test environment it would not report in any case.
    environment = {name: value for name, value in os.environ.items()
                   if name not in ('CI', 'GITHUB_ACTIONS', 'TF_BUILD', 'ORT_DISABLE_TELEMETRY')}
    environment |= {'HOME': str(tmp_path), 'TMPDIR': str(tmp_path), 'XDG_CACHE_HOME': str(tmp_path / '.cache')}
    subprocess.run([sys.executable, '-c', 'import fer_ros.perception, onnxruntime'], cwd=ROOT, env=environment,
                   check=True, timeout=300)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which('strace') is None, reason='strace is not installed')
@pytest.mark.parametrize(('library', 'read'), [
    ('pyarrow', ''), ('pandas', 'pandas.read_parquet("a.parquet")'), ('polars', 'polars.read_parquet("a.parquet")'),
    ('duckdb', "duckdb.sql(\"FROM 'a.parquet'\").fetchall()")])
def test_libraries_for_tables_open_no_socket_and_leave_nothing(tmp_path, library, read):
    pytest.importorskip('pyarrow')
    pytest.importorskip(library)
    (tmp_path / 'home').mkdir()
    code = (f'import {library}; from pathlib import Path; from fer_ros.results.faces_parquet import FacesParquet, '
            f'read_columns; FacesParquet(Path("a.parquet"), "a").close(); read_columns(Path("a.parquet")); {read}')
    environment = os.environ | {'HOME': str(tmp_path / 'home'), 'PYTHONPATH': str(ROOT)}
    for name in ('CI', 'GITHUB_ACTIONS', 'XDG_CACHE_HOME', 'XDG_CONFIG_HOME'):
        environment.pop(name, None)
    done = subprocess.run(['strace', '-f', '-qq', '-e', 'trace=socket,connect,sendto', '-e', 'signal=none', '-o',
                           'trace', sys.executable, '-c', code], cwd=tmp_path, env=environment, text=True, timeout=300,
                          capture_output=True, check=False)
    if 'ptrace' in done.stderr.lower() and done.returncode:
        pytest.skip(f'strace may not trace here: {done.stderr.splitlines()[0]}')
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'trace').read_text() == ''
    assert not list((tmp_path / 'home').iterdir())
