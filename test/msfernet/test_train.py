import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from msfernet_support import face_set, write_split

from fer_ros.msfernet import train as train_module
from fer_ros.msfernet.losses import soft_cross_entropy
from fer_ros.msfernet.network import MSFERNet
from fer_ros.msfernet.preprocessing import network_input
from fer_ros.msfernet.train import Recipe, Trainer, main
from fer_ros.msfernet.weights import WeightsError, load_model, read_tensors, write_tensors
from fer_ros.msfernet.weights_file import INPUT_SIZE

TINY = Recipe(epochs=3, batch_size=8, learning_rate=0.05, sizes=((0.0, 32), (0.5, INPUT_SIZE)))


def trainer(out, recipe=TINY, *, start=0, kind=Trainer, faces=21):
    torch.manual_seed(start)
    network = MSFERNet(stem=4, widths=(8, 8), depths=(1, 1))
    return kind(network, face_set(faces), face_set(9, seed=1), recipe, out)


def lines(out):
    """The metrics of a run, but for those that tell of its speed."""
    rows = [json.loads(line) for line in (out / 'metrics.jsonl').read_text().splitlines()]
    return [{key: value for key, value in row.items() if 'second' not in key} for row in rows]


def assert_same_run(one, other):
    for name in ('checkpoint', 'best', 'last'):
        (tensors, metadata), (expected, expected_metadata) = (
            read_tensors(out / f'{name}.safetensors') for out in (one, other))
        assert metadata == expected_metadata
        assert tensors.keys() == expected.keys()
        for key in tensors:
            assert torch.equal(tensors[key], expected[key]), f'{key} of {name}'
    assert lines(one) == lines(other)


class Killed(BaseException):
    pass


class KilledInAnEpoch(Trainer):
    def _update_average(self, step):
        if step == self.steps_per_epoch + 1:
            raise Killed
        super()._update_average(step)


@pytest.mark.parametrize('recipe', [TINY, replace(TINY, supcon_weight=0.0)], ids=['supcon', 'cross-entropy'])
def test_a_run_killed_within_an_epoch_resumes_to_the_same_bits(tmp_path, recipe):
    trainer(tmp_path / 'whole', recipe).run()
    with pytest.raises(Killed):
        trainer(tmp_path / 'parts', recipe, kind=KilledInAnEpoch).run()
    assert len(lines(tmp_path / 'parts')) == 1
    # Another random start: everything must come from the checkpoint.
    rest = trainer(tmp_path / 'parts', recipe, start=7)
    rest.resume()
    rest.run()
    assert_same_run(tmp_path / 'parts', tmp_path / 'whole')


def test_a_run_killed_while_it_saves_resumes_to_the_same_bits(tmp_path, monkeypatch):
    trainer(tmp_path / 'whole').run()
    written = []

    def killed_at_the_second(*arguments):
        written.append(arguments)
        if len(written) == 2:
            raise Killed
        write_tensors(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(train_module, 'write_tensors', killed_at_the_second)
        with pytest.raises(Killed):
            trainer(tmp_path / 'parts').run()
    assert len(lines(tmp_path / 'parts')) == 2  # the second epoch's line is there, its checkpoint is not
    with (tmp_path / 'parts' / 'metrics.jsonl').open('a') as file:
        file.write('{"epoch": 3, "lo')
    rest = trainer(tmp_path / 'parts', start=7)
    rest.resume()
    rest.run()
    assert_same_run(tmp_path / 'parts', tmp_path / 'whole')


def test_resuming_with_other_settings_names_the_first(tmp_path):
    trainer(tmp_path).run()
    for other, message in ((trainer(tmp_path, replace(TINY, learning_rate=0.2)), 'learning_rate=0.05, not 0.2'),
                           (trainer(tmp_path, faces=30), 'faces=21, not 30')):
        with pytest.raises(WeightsError, match=message):
            other.resume()
    with pytest.raises(WeightsError, match='wide_dilation=2, not 1'):
        Trainer(MSFERNet(stem=4, widths=(8, 8), depths=(1, 1), wide_dilation=1), face_set(21), face_set(9), TINY,
                tmp_path).resume()


def test_resuming_from_a_foreign_file(tmp_path):
    run = trainer(tmp_path)
    with pytest.raises(WeightsError, match='no weights file'):
        run.resume()
    write_tensors(run.checkpoint, {'weight': torch.zeros(2)}, {'format': 'other'})
    with pytest.raises(WeightsError, match='not a checkpoint of this training'):
        run.resume()


def test_a_run_leaves_weights_metrics_and_curves(tmp_path):
    trainer(tmp_path).run()
    assert {path.name for path in tmp_path.iterdir()} == {
        'best.safetensors', 'last.safetensors', 'checkpoint.safetensors', 'metrics.jsonl', 'curves.png'}
    rows = lines(tmp_path)
    assert [row['epoch'] for row in rows] == [1, 2, 3]
    last, best = (load_model(tmp_path / f'{name}.safetensors').training for name in ('last', 'best'))
    assert last['epochs'] == 3
    assert last['validation_accuracy'] == rows[-1]['validation_accuracy']
    assert best['validation_accuracy'] == max(row['validation_accuracy'] for row in rows)
    assert last['recipe']['learning_rate'] == 0.05


def test_the_saved_weights_give_the_accuracy_that_was_written(tmp_path):
    run = trainer(tmp_path)
    run.run()
    faces = face_set(9, seed=1)
    with torch.no_grad():
        logits = load_model(tmp_path / 'last.safetensors').network(network_input(faces.images)).logits
    assert lines(tmp_path)[-1]['validation_accuracy'] == (logits.argmax(1).numpy() == faces.labels).mean()
    assert lines(tmp_path)[-1]['validation_loss'] == pytest.approx(
        soft_cross_entropy(logits, torch.from_numpy(faces.targets)).item(), rel=1e-4)


def test_it_overfits_32_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(train_module, 'draw_curves', lambda *_: None)  # takes longer than an epoch
    # Noise has nothing to generalise from: what is learnt was learnt by heart.
    torch.manual_seed(0)
    faces = face_set(32)
    recipe = Recipe(epochs=14, batch_size=8, learning_rate=0.05, smoothing=0.0, augment=False, weight_decay=0.0,
                    ema_decay=0.5)
    Trainer(MSFERNet(stem=8, widths=(16, 64, 128), depths=(1, 1, 1), dropout=0.0), faces, faces, recipe, tmp_path).run()
    first, *_, last = lines(tmp_path)
    assert last['validation_accuracy'] == 1.0
    assert last['cross_entropy'] < 0.5 * first['cross_entropy']


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(FloatingPointError, match=r'the loss became .* lower --learning-rate'):
        trainer(tmp_path, replace(TINY, learning_rate=1e30)).run()


def test_the_rate_rises_and_falls_along_a_cosine():
    recipe = Recipe(learning_rate=0.1, warmup=0.2)
    assert [recipe.rate_at(p) for p in (0, 0.1, 0.2, 0.6, 1)] == pytest.approx([0, 0.05, 0.1, 0.05, 0])
    assert Recipe(warmup=0.0).rate_at(0) == pytest.approx(Recipe().learning_rate)


def test_faces_grow_with_the_run():
    recipe = Recipe(sizes=((0.0, 32), (0.5, 40), (0.8, 48)))
    assert [recipe.size_at(p) for p in (0, 0.49, 0.5, 0.79, 0.8, 1)] == [32, 32, 40, 40, 48, 48]


@pytest.mark.parametrize('settings', [
    {'epochs': 0}, {'batch_size': 1}, {'learning_rate': -1.0}, {'warmup': 1.0}, {'momentum': 0.0}, {'momentum': 1.0},
    {'smoothing': 1.5}, {'supcon_weight': -0.1}, {'supcon_temperature': 0.0}, {'ema_decay': 1.0},
    {'weight_decay': float('nan')}, {'sizes': ()}, {'sizes': ((0.5, 48),)}, {'sizes': ((0.0, 32),)},
    {'sizes': ((0.0, 8), (0.5, 48))}, {'sizes': ((0.0, 32), (0.9, 40), (0.5, 48))}])
def test_settings_without_sense_are_refused_by_name(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Recipe(**settings)


def test_fewer_faces_than_a_batch_are_refused(tmp_path):
    with pytest.raises(ValueError, match='5 training faces do not fill one batch of 8'):
        trainer(tmp_path, faces=5)


# Command line

@pytest.fixture
def dataset(tmp_path):
    write_split(tmp_path / 'data' / 'train', 2)
    write_split(tmp_path / 'data' / 'validation', 1, seed=20)
    return str(tmp_path / 'data')


def test_the_command_trains_and_resumes(dataset, tmp_path, capsys):
    arguments = ['--data', dataset, '--out', str(tmp_path / 'run'), '--batch-size', '4', '--device', 'cpu']
    assert main([*arguments, '--epochs', '1']) == 0
    assert 'best validation accuracy' in capsys.readouterr().out
    assert main([*arguments, '--epochs', '1']) == 1
    assert 'add --resume' in capsys.readouterr().err
    assert main([*arguments, '--epochs', '2', '--resume']) == 0
    assert [row['epoch'] for row in lines(tmp_path / 'run')] == [1, 2]
    assert load_model(tmp_path / 'run' / 'last.safetensors').training['epochs'] == 2


def test_training_starts_from_weights_of_before(dataset, tmp_path):
    arguments = ['--data', dataset, '--batch-size', '4', '--device', 'cpu', '--epochs', '1']
    assert main([*arguments, '--out', str(tmp_path / 'first'), '--seed', '3']) == 0
    first = tmp_path / 'first' / 'last.safetensors'
    # At a rate of 0 only the running statistics of the normalisation move.
    assert main([*arguments, '--out', str(tmp_path / 'second'), '--weights', str(first), '--learning-rate', '0']) == 0
    before, after = load_model(first), load_model(tmp_path / 'second' / 'last.safetensors')
    assert after.training['before'] == before.training
    for old, new in zip(before.network.parameters(), after.network.parameters(), strict=True):
        torch.testing.assert_close(old, new, rtol=1e-6, atol=1e-7)


def test_a_mistake_is_one_line_and_a_non_zero_exit(tmp_path):
    done = subprocess.run([sys.executable, '-m', 'fer_ros.msfernet.train', '--data', str(tmp_path / 'none'),
                           '--out', str(tmp_path / 'run')], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ''
    assert done.stderr.splitlines() == [
        f'train: no data at {tmp_path / "none"}: name an image folder, a CK+48 folder or the Kaggle CSV']
    assert not (tmp_path / 'run').exists()
