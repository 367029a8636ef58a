import pytest
import torch
from msfernet_support import constant_network, write_split

from fer_ros.msfernet import evaluate, export, model_card, temperature_and_bias, train
from fer_ros.msfernet.cli import device_named, run
from fer_ros.msfernet.weights import Model, save_model


@pytest.fixture
def place(tmp_path):
    save_model(tmp_path / 'good.safetensors', Model(constant_network([0.0] * 7)))
    (tmp_path / 'bad.safetensors').write_bytes(b'nothing of use')
    (tmp_path / 'empty').mkdir()
    write_split(tmp_path / 'data' / 'train', 1)
    write_split(tmp_path / 'data' / 'validation', 1)
    return tmp_path


MISTAKES = [
    (train, '--data {0}/empty --out {0}/run', 'no split'),
    (train, '--data {0}/data --out {0}/run', 'do not fill one batch'),
    (train, '--data {0}/data --out {0}/run --epochs 0', 'epochs must be at least 1'),
    (train, '--data {0}/data --out {0}/run --sizes 0:32', 'sizes must'),
    (train, '--data {0}/data --out {0}/run --sizes small', 'is not like'),
    (train, '--data {0}/data --out {0}/run --epochs many', 'invalid int value'),
    (train, '--data {0}/data --out {0}/run --device tpu', 'unknown device'),
    (train, '--data {0}/data --out {0}/run --batch-size 4 --resume', 'no weights file at'),
    (train, '--data {0}/data --out {0}/good.safetensors/run --batch-size 4', 'Not a directory'),
    (train, '--out {0}/run', 'required: --data'),
    (evaluate, '--model {0}/none.safetensors --data {0}/data', 'no weights file at'),
    (evaluate, '--model {0}/bad.safetensors --data {0}/data', 'not a complete safetensors file'),
    (evaluate, '--model {0}/good.safetensors --data {0}/none', 'no data at'),
    (evaluate, '--model {0}/good.safetensors --data {0}/data --split test', 'found train, validation'),
    (evaluate, '--model {0}/good.safetensors --data {0}/data --device cuda:99', 'no device'),
    (temperature_and_bias, '--model {0}/bad.safetensors --data {0}/data --out {0}/out',
     'not a complete safetensors file'),
    (temperature_and_bias, '--model {0}/good.safetensors --data {0}/empty --out {0}/out', 'no split'),
    (temperature_and_bias, '--model {0}/good.safetensors --data {0}/data --out {0}/out', 'the temperature runs to'),
    (export, '--model {0}/bad.safetensors --out {0}/x.onnx', 'not a complete safetensors file'),
    (export, '--out {0}/x.onnx', 'required: --model'),
    (model_card, '--evaluation {0}/none.json', 'No such file'),
    (model_card, '--evaluation {0}/bad.safetensors', 'Expecting value'),
]


@pytest.mark.parametrize(('program', 'arguments', 'message'), MISTAKES,
                         ids=[f'{m.__name__.split(".")[-1]}-{message}' for m, _, message in MISTAKES])
def test_a_mistake_is_one_line_and_a_non_zero_exit(program, arguments, message, place, capsys):
    try:
        code = program.main(arguments.format(place).split())
    except SystemExit as stopped:
        code = stopped.code
    assert code in (1, 2)
    printed = capsys.readouterr()
    # Bars that were complete before the mistake stay; they end with a carriage return or a line of their own.
    said = [line for line in printed.err.replace('\r', '\n').splitlines() if line and 'face/s' not in line]
    assert len(said) == 1, printed.err
    assert said[0].startswith(f'{program.__name__.split(".")[-1]}: ')
    assert message in said[0]
    assert printed.out == ''


def test_ctrl_c_says_how_to_go_on(capsys):
    def interrupted():
        raise KeyboardInterrupt

    assert run('train', interrupted, stopped='go on with --resume') == 130
    assert capsys.readouterr().err == 'train: go on with --resume\n'


def test_a_defect_keeps_its_traceback():
    with pytest.raises(AttributeError):
        run('train', lambda: None.nothing)


def test_devices():
    assert device_named('cpu') == torch.device('cpu')
    assert device_named('auto').type in ('cpu', 'cuda')
    for name in ('gpu', 'meta', 'cuda:x', ''):
        with pytest.raises(ValueError, match='unknown device'):
            device_named(name)
