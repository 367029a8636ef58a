"""Train MSFERNet: cross-entropy on two label sets, jointly with supervised contrastive learning.

    python -m fer_ros.msfernet.train --data DIR --votes FILE --out runs/first

One classifier learns the shares of raters who chose each emotion, the other the data set's own labels, both from one
embedding. Without votes, both learn the labels.

leaves in the output folder, after every epoch: ``checkpoint.safetensors`` (to ``--resume`` from),
``metrics.jsonl``, ``curves.png``, ``best.safetensors`` (the averaged weights of the best epoch on the
validation split) and ``last.safetensors``.
"""

import argparse
import copy
import json
import math
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn
from tqdm import tqdm

from fer_ros.msfernet import data
from fer_ros.msfernet.augmentation import Augmentation
from fer_ros.msfernet.cli import Parser, device_named, run
from fer_ros.msfernet.data_parallel import ALONE, Peer, peers
from fer_ros.msfernet.distillation import soft_labels
from fer_ros.msfernet.losses import ProjectionHead, soft_cross_entropy, supervised_contrastive_loss
from fer_ros.msfernet.network import MSFERNet, on_device
from fer_ros.msfernet.preprocessing import network_input, standardised
from fer_ros.msfernet.votes import raters_probabilities, raters_weight
from fer_ros.msfernet.weights import Model, WeightsError, load_model, read_tensors, save_model, write_tensors
from fer_ros.msfernet.weights_file import INPUT_SIZE


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a training run, besides data and network."""

    epochs: int = 60
    batch_size: int = 128
    learning_rate: float = 0.1
    warmup: float = 0.05
    """Share of the run over which the rate rises to its peak; then it falls along a cosine to 0."""
    momentum: float = 0.9
    weight_decay: float = 5e-4
    smoothing: float = 0.1
    """Label smoothing of the data set's own labels; the raters' votes are soft already."""
    fer2013_weight: float = 0.5
    """Weight of the loss on the data set's own labels beside that on the raters' votes."""
    distillation: float = 0.0
    """Share of the teachers' probabilities in the targets of the own labels."""
    supcon_weight: float = 0.1
    """Weight of the contrastive beside the cross-entropy loss; 0 leaves it out."""
    supcon_temperature: float = 0.1
    ema_decay: float = 0.999
    """Of the running average of the weights, which is what is evaluated and saved."""
    sizes: tuple[tuple[float, int], ...] = ((0.0, INPUT_SIZE),)
    """(share of the run, side in pixels): small faces first cost less and teach the coarse part as well."""
    augment: bool = True
    degrade: bool = True
    """Let the random changes hold what cameras do in bad conditions, and things in front of faces."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, lowest in (('epochs', 1), ('batch_size', 2), ('learning_rate', 0), ('weight_decay', 0),
                             ('fer2013_weight', 0), ('supcon_weight', 0)):
            if not getattr(self, name) >= lowest:
                raise ValueError(f'{name} must be at least {lowest}, got {getattr(self, name)}')
        for name in ('warmup', 'momentum', 'smoothing', 'distillation', 'ema_decay'):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f'{name} must be at least 0 and below 1, got {getattr(self, name)}')
        if not self.momentum:
            raise ValueError('momentum must be above 0: its Nesterov form needs one')
        if not self.supcon_temperature > 0:
            raise ValueError(f'supcon_temperature must be above 0, got {self.supcon_temperature}')
        starts = [start for start, _ in self.sizes]
        if (not starts or starts[0] != 0 or starts != sorted(starts) or min(size for _, size in self.sizes) < 16
                or self.sizes[-1][1] != INPUT_SIZE):
            raise ValueError('sizes must start at 0, rise in their starts, be at least 16 pixels '
                             f'and end with {INPUT_SIZE}, got {self.sizes}')

    def size_at(self, progress: float) -> int:
        """Side of the training pictures at `progress` (0 to 1) through the run."""
        return [size for start, size in self.sizes if start <= progress][-1]

    def rate_at(self, progress: float) -> float:
        """Learning rate at `progress` (0 to 1) through the run."""
        if progress < self.warmup:
            return self.learning_rate * progress / self.warmup
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup)))


class Trainer:
    """Runs a recipe over a data set, epoch by epoch.

    The state after an epoch depends on nothing but the recipe, the data, the machine, its numbers of processes and
    threads and whether the network is compiled, so a run that was interrupted and resumed ends like one that was not.
    BatchNorm and the contrastive loss see the faces of their own process only.

    Args:
        network: its random start; changed in place.
        train, validation: faces to learn from, and those that choose the best epoch.
        recipe: everything else that decides the result.
        out: folder for checkpoint, weights, metrics and curves; made by `run`.
        device: where to train.
        compile_network: compile it first; the same result but for rounding.
        before: facts of the training that `network` comes from, if it does; kept in the weights file.
        peer: this process' part where several train together, each on its share of every batch.
        teachers: networks whose probabilities are mixed into the own labels by `Recipe.distillation`.

    Raises:
        ValueError: there are fewer training faces than a batch holds, a batch cannot be shared evenly, or of teachers
            and their share one is missing.
    """

    def __init__(self, network: MSFERNet, train: data.FaceSet, validation: data.FaceSet, recipe: Recipe, out: Path, *,
                 device: str | torch.device = 'cpu', compile_network: bool = False, before: dict | None = None,
                 peer: Peer = ALONE, teachers: Sequence[Model] = ()):
        if bool(teachers) != (recipe.distillation > 0):
            raise ValueError(f'distillation {recipe.distillation} with {len(teachers)} teachers: '
                             'give both --teachers and a --distillation above 0, or neither')
        if len(train) < recipe.batch_size:
            raise ValueError(f'{len(train)} training faces do not fill one batch of {recipe.batch_size}: '
                             'lower --batch-size or add data')
        self._peer = peer
        if recipe.batch_size % peer.count or recipe.batch_size < 2 * peer.count:
            raise ValueError(f'batches of {recipe.batch_size} faces cannot be shared by {peer.count} processes: '
                             'choose a --batch-size that is a multiple of --processes, and at least twice as large')
        self.recipe = recipe
        self.out = out
        self.before = before
        self.device = torch.device(device)
        torch.manual_seed(recipe.seed)
        self.network = on_device(network, self.device)
        self.projection = ProjectionHead(network.embedding_size).to(self.device)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self._forward = torch.compile(self.network) if compile_network else self.network
        self._images = torch.from_numpy(train.images).to(self.device)
        targets = train.targets
        if teachers:
            softened = soft_labels(teachers, train.images, device=self.device, progress=peer.index == 0)
            targets = (1 - recipe.distillation) * targets + recipe.distillation * softened
        self._labels = torch.from_numpy(targets.astype(np.float32)).to(self.device)
        self._raters, self._weights = (torch.from_numpy(a).to(self.device) for a in raters_targets(train))
        self._validation = validation
        weights = [*self.network.parameters(), *self.projection.parameters()]
        self._optimiser = torch.optim.SGD(
            [{'params': [p for p in weights if p.ndim > 1], 'weight_decay': recipe.weight_decay},
             {'params': [p for p in weights if p.ndim == 1], 'weight_decay': 0.0}],
            lr=0.0, momentum=recipe.momentum, nesterov=True)
        self._augmentation = Augmentation() if recipe.degrade else Augmentation(steep=0, cover=0, unspoilt=1)
        self.epoch = 0
        self.best = -1.0
        self.steps_per_epoch = len(train) // recipe.batch_size

    @property
    def checkpoint(self) -> Path:
        return self.out / 'checkpoint.safetensors'

    def run(self) -> None:
        """Train the epochs that are left.

        Raises:
            FloatingPointError: the loss is no longer finite; the checkpoint is of the epoch before.
        """
        first = self._peer.index == 0
        if first:
            self.out.mkdir(parents=True, exist_ok=True)
            self._drop_metrics_after_checkpoint()
        total = self.recipe.epochs * self.steps_per_epoch
        done = self.epoch * self.steps_per_epoch
        with tqdm(total=total, initial=done, unit='step', smoothing=0.02, mininterval=2, disable=not first) as bar:
            while self.epoch < self.recipe.epochs:
                started = time.monotonic()
                losses = self._train_epoch(bar)
                seconds = time.monotonic() - started
                if not first:  # all have the same weights: one keeps them
                    self.epoch += 1
                    continue
                validation = self.evaluate()
                self.epoch += 1
                metrics = {'epoch': self.epoch, **losses, **validation, 'seconds': round(seconds, 1),
                           'faces_per_second': round(self.steps_per_epoch * self.recipe.batch_size / seconds, 1)}
                bar.set_postfix(epoch=self.epoch, loss=f'{losses["loss"]:.3f}',
                                validation=f'{validation["validation_accuracy"]:.2%}')
                self._save(metrics)

    def evaluate(self) -> dict[str, float]:
        """Figures of the averaged weights on the validation split; accuracies are 0 to 1.

        Returns:
            validation_accuracy and validation_loss (cross-entropy) against the raters, and fer2013_accuracy.
        """
        faces, device = self._validation, self.device
        raters, weights = raters_targets(faces)
        right, right_labels, loss = 0.0, 0.0, 0.0
        with torch.no_grad():
            for start in range(0, len(faces), 256):
                batch = slice(start, start + 256)
                inputs = network_input(faces.images[batch]).to(device, memory_format=torch.channels_last)
                output = self.average(inputs)
                targets, counted = (torch.from_numpy(a[batch]).to(device) for a in (raters, weights))
                right += float(((output.logits.argmax(1) == targets.argmax(1)) & (counted > 0)).sum())
                right_labels += float((output.fer2013_logits.argmax(1).cpu().numpy() == faces.labels[batch]).sum())
                loss += float(soft_cross_entropy(output.logits, targets, weights=counted) * counted.sum())
        return {'validation_accuracy': right / max(int((weights > 0).sum()), 1),
                'validation_loss': loss / max(float(weights.sum()), 1e-6),
                'fer2013_accuracy': right_labels / len(faces)}

    def _train_epoch(self, bar: tqdm) -> dict[str, float]:
        recipe = self.recipe
        # All randomness of an epoch comes from its own seed, so that resuming needs no generator state.
        seed = recipe.seed * 1_000_003 + self.epoch
        generator = Generator().manual_seed(seed)
        order = torch.randperm(len(self._images), generator=generator)
        if self._peer.index:  # the same order in all processes, but different changes to the faces
            seed += 1_000_000_007 * self._peer.index
            generator.manual_seed(seed)
        torch.manual_seed(seed)
        self.network.train()
        sums = torch.zeros(4)
        for step in range(self.steps_per_epoch):
            progress = (self.epoch + step / self.steps_per_epoch) / recipe.epochs
            for group in self._optimiser.param_groups:
                group['lr'] = recipe.rate_at(progress)
            chosen = order[step * recipe.batch_size:(step + 1) * recipe.batch_size]
            chosen = chosen[self._peer.index::self._peer.count].to(self.device)
            labels, raters, weights = self._labels[chosen], self._raters[chosen], self._weights[chosen]
            faces = self._images[chosen][:, None].float()
            if recipe.augment:
                faces = self._augmentation(faces, generator, size=recipe.size_at(progress))
            faces = standardised(faces).contiguous(memory_format=torch.channels_last)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=_fast_bfloat16(self.device)):
                logits, fer2013_logits, embedding = self._forward(faces)
                projected = self.projection(embedding) if recipe.supcon_weight else embedding
            cross_entropy = soft_cross_entropy(logits, raters, weights=weights)
            fer2013 = soft_cross_entropy(fer2013_logits, labels, smoothing=recipe.smoothing)
            contrastive = torch.zeros((), device=self.device)
            if recipe.supcon_weight:
                contrastive = supervised_contrastive_loss(
                    projected, raters.argmax(1), temperature=recipe.supcon_temperature)
            loss = cross_entropy + recipe.fer2013_weight * fer2013 + recipe.supcon_weight * contrastive
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()
            losses = torch.stack((loss, cross_entropy, fer2013, contrastive)).detach().float()
            self._peer.average([losses, *(p.grad for p in self._parameters() if p.grad is not None)])
            if not torch.isfinite(losses[0]):
                raise FloatingPointError(f'the loss became {losses[0].item()} in epoch {self.epoch + 1}: '
                                         'lower --learning-rate')
            self._optimiser.step()
            if self._peer.index == 0:  # the others neither evaluate nor save it
                self._update_average(self.epoch * self.steps_per_epoch + step)
            sums += losses.cpu()
            bar.update()
        return dict(zip(('loss', 'cross_entropy', 'fer2013', 'contrastive'), (sums / self.steps_per_epoch).tolist(),
                        strict=True))

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        # A young average must not remember the random start for long.
        decay = min(self.recipe.ema_decay, (1 + step) / (10 + step))
        for mean, value in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    def _save(self, metrics: dict) -> None:
        accuracy = metrics['validation_accuracy']
        facts = {'epochs': self.epoch, 'recipe': asdict(self.recipe), 'validation_accuracy': accuracy}
        if self.before:
            facts['before'] = self.before
        names = ['last']
        if accuracy > self.best:
            self.best = accuracy
            names.append('best')
        for name in names:
            save_model(self.out / f'{name}.safetensors', Model(self.average, training=facts))
        with self._metrics.open('a') as file:
            file.write(json.dumps(metrics) + '\n')
        draw_curves(self._metrics, self.out / 'curves.png')
        tensors = {f'{part}.{name}': value for part, module in self._modules().items()
                   for name, value in module.state_dict().items()}
        for index, parameter in enumerate(self._parameters()):
            tensors[f'momentum.{index}'] = self._optimiser.state[parameter]['momentum_buffer']
        # The checkpoint comes last: interrupted before it, the epoch is trained again and everything above rewritten.
        write_tensors(self.checkpoint, tensors, {
            'epoch': str(self.epoch), 'best': repr(self.best), 'recipe': json.dumps(asdict(self.recipe)),
            'architecture': json.dumps(self.network.architecture), 'faces': str(len(self._images))})

    def resume(self) -> None:
        """Take up the run whose checkpoint is in the output folder.

        Raises:
            WeightsError: there is none, or it is of another recipe, network or number of training faces. Only the
                number of epochs may differ, which also stretches the schedule.
        """
        tensors, metadata = read_tensors(self.checkpoint)
        try:
            self._refuse_other_settings(metadata)
            for part, module in self._modules().items():
                module.load_state_dict({name.removeprefix(f'{part}.'): value for name, value in tensors.items()
                                        if name.startswith(f'{part}.')})
            for index, parameter in enumerate(self._parameters()):
                buffer = torch.empty_like(parameter).copy_(tensors[f'momentum.{index}'])
                self._optimiser.state[parameter]['momentum_buffer'] = buffer
            self.epoch = int(metadata['epoch'])
            self.best = float(metadata['best'])
        except (KeyError, ValueError, RuntimeError) as error:
            raise WeightsError(f'{self.checkpoint} is not a checkpoint of this training: '
                               f'{str(error).splitlines()[0]}; choose another --out') from error

    def _refuse_other_settings(self, metadata: dict[str, str]) -> None:
        there = {**json.loads(metadata['recipe']), **json.loads(metadata['architecture'])}
        here = json.loads(json.dumps({**asdict(self.recipe), **self.network.architecture}))
        if 'faces' in metadata:
            there['faces'], here['faces'] = int(metadata['faces']), len(self._images)
        for key, value in here.items():
            if key != 'epochs' and there.get(key) != value:
                raise WeightsError(f'{self.checkpoint} was trained with {key}={there.get(key)!r}, not {value!r}: '
                                   'resume with the same settings or choose another --out')

    @property
    def _metrics(self) -> Path:
        return self.out / 'metrics.jsonl'

    def _drop_metrics_after_checkpoint(self) -> None:
        """Lines of epochs that are trained again, and one that an interruption cut short."""
        if self._metrics.is_file():
            lines = self._metrics.read_text().splitlines()[:self.epoch]
            self._metrics.write_text(''.join(f'{line}\n' for line in lines))

    def _modules(self) -> dict[str, nn.Module]:
        return {'network': self.network, 'projection': self.projection, 'average': self.average}

    def _parameters(self) -> list[Tensor]:
        """Parameters with a momentum; the projection has none without a contrastive loss."""
        return [p for group in self._optimiser.param_groups for p in group['params']
                if self.recipe.supcon_weight or not any(p is q for q in self.projection.parameters())]


def raters_targets(faces: data.FaceSet) -> tuple[np.ndarray, np.ndarray]:
    """What the raters' classifier learns of each face: (N, 7) float32 shares of raters, and (N,) float32 weights.

    In a set without votes, its own labels.
    """
    if faces.votes is None:
        return faces.targets, np.ones(len(faces), np.float32)
    return raters_probabilities(faces.votes), raters_weight(faces.votes)


def _fast_bfloat16(device: torch.device) -> bool:
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported()
    # Without hardware for it bfloat16 is emulated and slower than float32. Older versions of torch do not tell.
    return any(getattr(torch.cpu, probe, bool)() for probe in ('_is_avx512_bf16_supported', '_is_amx_tile_supported'))


def draw_curves(metrics: Path, picture: Path) -> None:
    """Draw losses and validation accuracy over the epochs of a ``metrics.jsonl``."""
    from matplotlib.figure import Figure

    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    epochs = [row['epoch'] for row in rows]
    figure = Figure(figsize=(9, 3.6), layout='constrained')
    left, right = figure.subplots(1, 2)
    for key, label in (('cross_entropy', 'training'), ('validation_loss', 'validation')):
        left.plot(epochs, [row[key] for row in rows], label=label)
    left.set(xlabel='epoch', ylabel='cross-entropy')
    left.legend()
    for key, label in (('validation_accuracy', 'raters'), ('fer2013_accuracy', 'own labels')):
        right.plot(epochs, [100 * row[key] for row in rows], label=label)
    right.set(xlabel='epoch', ylabel='validation accuracy, 7 classes (%)')
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=120)


def _sizes(text: str) -> tuple[tuple[float, int], ...]:
    """Parse ``0:32,0.5:40,0.75:48``."""
    try:
        return tuple((float(start), int(size)) for start, size in (part.split(':') for part in text.split(',')))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} is not like 0:32,0.5:40,0.75:48') from error


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog='train', description='Train MSFERNet by supervised contrastive learning.')
    parser.add_argument('--data', required=True, help='image folder, CK+48 folder or Kaggle CSV')
    parser.add_argument('--votes', type=Path, help="table of raters' votes for the pictures of image folders")
    parser.add_argument('--out', type=Path, required=True, help='folder for checkpoint, weights, metrics and curves')
    parser.add_argument('--train-split', default='train')
    parser.add_argument('--validation-split', default='validation')
    parser.add_argument('--resume', action='store_true', help='go on from the checkpoint in --out')
    parser.add_argument('--weights', type=Path, help='start from this .safetensors file, with its architecture, '
                                                     'instead of at random; the schedule starts anew')
    parser.add_argument('--teachers', type=Path, nargs='+', default=[], metavar='WEIGHTS',
                        help='mix what these networks say into the own labels, by --distillation')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--processes', type=int, default=1,
                        help='on a CPU: this many share each batch, of one thread each unless --threads says more')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads; 0: all cores, or one with --processes')
    parser.add_argument('--compile', action='store_true',
                        help='compile the network first: faster, but needs a C++ compiler')
    defaults = Recipe()
    for item in fields(Recipe):
        name = '--' + item.name.replace('_', '-')
        default = getattr(defaults, item.name)
        if isinstance(default, bool):
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=default)
        else:
            convert = _sizes if item.name == 'sizes' else type(default)
            parser.add_argument(name, type=convert, default=default, help=f'default: {default}')
    parser.add_argument('--single-scale', action='store_true', help='both views 3×3: the ablation of equal cost')
    parser.add_argument('--no-attention', action='store_true', help='without CBAM: an ablation')
    parser.add_argument('--limit', type=int, default=0, help='use only this many training faces, evenly taken; 0: all')
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    return run('train', lambda: _train(options), stopped=f'stopped; go on with --resume --out {options.out}')


def _train(options: argparse.Namespace) -> None:
    if options.processes < 1:
        raise ValueError(f'--processes must be at least 1, got {options.processes}')
    if options.processes > 1 and device_named(options.device).type != 'cpu':
        raise ValueError(f'--processes {options.processes} is for a CPU: leave it out, or add --device cpu')
    trainer = _trainer(Peer(0, options.processes), options)
    with peers(options.processes, _take_part, options):
        trainer.run()
    print(f'best validation accuracy {trainer.best:.2%}: {options.out / "best.safetensors"}')


def _take_part(peer: Peer, options: argparse.Namespace) -> None:
    # What every process meets at once, the first one says.
    with suppress(FloatingPointError):
        _trainer(peer, options).run()


def _trainer(peer: Peer, options: argparse.Namespace) -> Trainer:
    recipe = Recipe(**{item.name: getattr(options, item.name) for item in fields(Recipe)})
    if options.threads or peer.count > 1:
        torch.set_num_threads(options.threads or 1)
    train, validation = (data.load(options.data, split, votes=options.votes, progress=peer.index == 0)
                         for split in (options.train_split, options.validation_split))
    if options.limit:
        train = data.subset(train, options.limit)
    torch.manual_seed(recipe.seed)
    if options.weights:
        start = load_model(options.weights)
    else:
        start = Model(MSFERNet(wide_dilation=1 if options.single_scale else 2, attention=not options.no_attention))
    trainer = Trainer(start.network, train, validation, recipe, options.out, device=device_named(options.device),
                      compile_network=options.compile, before=start.training, peer=peer,
                      teachers=[load_model(path) for path in options.teachers])
    if options.resume:
        trainer.resume()
    elif trainer.checkpoint.exists():
        raise WeightsError(f'{trainer.checkpoint} is there already: add --resume or choose another --out')
    return trainer


if __name__ == '__main__':
    sys.exit(main())
