import os
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
