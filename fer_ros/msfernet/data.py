"""Labelled faces from the layouts in which data sets are handed out.

* Image folders: ``<root>/<split>/<class>/*.jpg`` (or png, bmp, pgm), classes under any usual synonym.
* The Kaggle CSV of FER2013: columns ``emotion,pixels,Usage``. A ``fer2013new.csv`` beside it (FER+, Barsoum
  et al., ICMI 2016) brings ten raters' votes for each row.
* CK+48: ``<root>/<class>/S010_004_00000017.png``. Contempt is left out. Splits are folds of whole subjects,
  since pictures of one person in training and test make results look better than they are.

Folders take the raters' votes from a table of their own: `fer_ros.msfernet.votes`.
"""

import csv
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from fer_ros.emotions import EMOTIONS, emotion_named
from fer_ros.msfernet.errors import DataError
from fer_ros.msfernet.votes import CHOICES, read_table, votes_of
from fer_ros.msfernet.weights_file import INPUT_SIZE

log = logging.getLogger(__name__)

PICTURES = {'.jpg', '.jpeg', '.png', '.bmp', '.pgm', '.tif', '.tiff'}
SPLIT_NAMES = {
    'train': ('train', 'training'),
    'validation': ('validation', 'val', 'valid', 'publictest', 'public'),
    'test': ('test', 'testing', 'privatetest', 'private'),
}
"""Names under which data sets file each split; `all` takes every split."""
LEFT_OUT = {'contempt', 'contemptuous'}
FOLDS = 5
_SHOWN = 5
_SUBJECT = re.compile(r'^(S\d+)_', re.IGNORECASE)


@dataclass
class FaceSet:
    """Labelled grey faces of one split."""

    images: np.ndarray
    """(N, 48, 48) uint8."""
    targets: np.ndarray
    """(N, 7) float32 the data set's own labels in the order of `EMOTIONS`, one-hot."""
    names: list[str]
    """Where each face comes from: a path below the root, or `row N`."""
    skipped: list[str] = field(default_factory=list)
    """What could not be read, with the reason."""
    votes: np.ndarray | None = None
    """(N, 10) float32 raters' votes in the order of `votes.CHOICES`, zeros for a face without; None: no votes."""

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64 index of the data set's own label."""
        return self.targets.argmax(1)

    def __len__(self) -> int:
        return len(self.images)


def load(root: str | Path, split: str, *, votes: str | Path | None = None, progress: bool = True) -> FaceSet:
    """Read one split of the data set under `root`, whose layout is recognised by what is there.

    Args:
        root: a folder, or the Kaggle CSV.
        split: `train`, `validation`, `test` (or a name as it stands there), or `all`; for CK+48 `all`,
            or `fold0-train`, `fold0-validation` to `fold4-…`.
        votes: table of raters' votes for the pictures of folders, see `fer_ros.msfernet.votes`; a Kaggle CSV has its
            own beside it.
        progress: show a bar.

    Raises:
        DataError: nothing usable is there.
    """
    root = Path(root).expanduser()
    if not root.exists():
        raise DataError(f'no data at {root}: name an image folder, a CK+48 folder or the Kaggle CSV')
    if root.is_file():
        faces = _load_csv(root, split, progress)
    elif _class_folders(root):
        faces = _load_classes_without_split(root, split, progress)
    elif table := next((p for p in (root / 'fer2013.csv', root / 'icml_face_data.csv') if p.is_file()), None):
        faces = _load_csv(table, split, progress)
    else:
        faces = _load_split_folders(root, split, progress)
    if votes is not None:
        if faces.names and faces.names[0].startswith('row '):
            raise DataError(f'{votes} is for image folders: a Kaggle CSV has a fer2013new.csv beside it')
        faces.votes = votes_of(faces.names, Path(votes).expanduser())
    if faces.skipped:
        more = ', …' if len(faces.skipped) > _SHOWN else ''
        log.warning('%d of %d entries skipped: %s%s', len(faces.skipped), len(faces) + len(faces.skipped),
                    ', '.join(faces.skipped[:_SHOWN]), more)
    if not len(faces):
        reason = f'; the first: {faces.skipped[0]}' if faces.skipped else ''
        raise DataError(f'no readable face for split {split!r} under {root} ({len(faces.skipped)} skipped{reason})')
    return faces


def _load_split_folders(root: Path, split: str, progress: bool) -> FaceSet:
    folders = sorted(p for p in root.iterdir() if p.is_dir() and _class_folders(p))
    if split != 'all':
        wanted = _split_names(split)
        chosen = [p for p in folders if p.name.lower() in wanted]
        if not chosen:
            there = ', '.join(p.name for p in folders) or 'no folder with emotion classes in it'
            raise DataError(f'no split {split!r} under {root}: found {there}; '
                            'expected <root>/<split>/<class>/*.jpg, or the Kaggle CSV')
        folders = chosen
    return _read_pictures(root, [p for folder in folders for p in _labelled_pictures(folder)], progress)


def _load_classes_without_split(root: Path, split: str, progress: bool) -> FaceSet:
    pictures = _labelled_pictures(root)
    subjects_of = {path: subject for path, _ in pictures if (subject := subject_of(path.name))}
    subjects = sorted(set(subjects_of.values()))
    skipped = []
    if split != 'all':
        fold = re.fullmatch(rf'fold([0-{FOLDS - 1}])-(train|validation)', split)
        if fold is None or not subjects:
            raise DataError(f'{root} holds classes without splits: use split all'
                            + (f', or fold0-train, fold0-validation to fold{FOLDS - 1}-…' if subjects else '')
                            + f', not {split!r}')
        held_out = set(subjects[int(fold.group(1))::FOLDS])
        validation = fold.group(2) == 'validation'
        skipped = [f'{path.relative_to(root)}: no subject in its name'
                   for path, _ in pictures if path not in subjects_of]
        pictures = [(path, emotion) for path, emotion in pictures
                    if path in subjects_of and (subjects_of[path] in held_out) == validation]
    return _read_pictures(root, pictures, progress, skipped)


def subject_of(name: str) -> str | None:
    """The person on a picture of CK+48, for example S010, by the picture's name or path; None where it says none."""
    match = _SUBJECT.match(Path(name).name)
    return match.group(1).upper() if match else None


def _class_folders(folder: Path) -> list[tuple[Path, str]]:
    return [(p, emotion) for p in sorted(folder.iterdir()) if p.is_dir() and (emotion := emotion_named(p.name))]


def _labelled_pictures(folder: Path) -> list[tuple[Path, str]]:
    unknown = [p.name for p in sorted(folder.iterdir())
               if p.is_dir() and not emotion_named(p.name) and p.name.lower() not in LEFT_OUT]
    if unknown:
        log.warning('%s: folders that name no emotion are left out: %s', folder, ', '.join(unknown))
    return [(path, emotion) for place, emotion in _class_folders(folder)
            for path in sorted(place.iterdir()) if path.suffix.lower() in PICTURES]


def _split_names(split: str) -> set[str]:
    split = split.lower()
    return {split, *next((names for names in SPLIT_NAMES.values() if split in names), ())}


def _read_pictures(root: Path, pictures: list[tuple[Path, str]], progress: bool,
                   skipped: Sequence[str] = ()) -> FaceSet:
    images, labels, names = [], [], []
    skipped = list(skipped)
    for path, emotion in tqdm(pictures, desc='reading faces', unit='face', disable=not progress):
        name = str(path.relative_to(root))
        try:
            pixels = np.fromfile(path, np.uint8)
            image = cv2.imdecode(pixels, cv2.IMREAD_GRAYSCALE) if len(pixels) else None
        except (OSError, cv2.error):
            image = None
        if image is None:
            skipped.append(f'{name}: not a readable picture')
            continue
        images.append(_fit(image))
        labels.append(EMOTIONS.index(emotion))
        names.append(name)
    return _face_set(images, np.eye(len(EMOTIONS), dtype=np.float32)[labels], names, skipped)


def _fit(image: np.ndarray) -> np.ndarray:
    if image.shape == (INPUT_SIZE, INPUT_SIZE):
        return image
    return cv2.resize(image, (INPUT_SIZE, INPUT_SIZE), interpolation=cv2.INTER_AREA)


def _load_csv(path: Path, split: str, progress: bool) -> FaceSet:
    votes_path = path.with_name('fer2013new.csv')
    table = read_table(votes_path)[1] if votes_path.is_file() and votes_path != path else None
    wanted = None if split == 'all' else _split_names(split)
    images, labels, votes, names, skipped, found = [], [], [], [], [], set()
    try:
        # A byte that is not text spoils its row, not the file.
        with path.open(newline='', encoding='utf-8-sig', errors='replace') as file:
            rows = csv.DictReader(file)
            columns = {name.strip().lower(): name for name in rows.fieldnames or ()}
            missing = [name for name in ('emotion', 'pixels', 'usage') if name not in columns]
            if missing:
                raise DataError(f'{path} lacks the column {missing[0]!r}: expected emotion,pixels,Usage')
            for number, row in enumerate(tqdm(rows, desc='reading faces', unit='face', disable=not progress)):
                emotion, pixels, usage = ((row[columns[name]] or '').strip() for name in ('emotion', 'pixels', 'usage'))
                found.add(usage)
                if usage and wanted is not None and usage.lower() not in wanted:
                    continue
                name = f'row {rows.line_num}'
                try:
                    image, label = _parse_row(emotion, pixels, usage)
                    if table is not None and number >= len(table):
                        raise ValueError('no FER+ votes for it')
                except (ValueError, OverflowError) as error:
                    skipped.append(f'{name}: {error}')
                    continue
                images.append(image)
                labels.append(label)
                if table is not None:
                    votes.append(table[number])
                names.append(name)
    except csv.Error as error:
        raise DataError(f'{path} is not a readable CSV ({error}): expected the columns emotion,pixels,Usage') from error
    if not images and not skipped:
        raise DataError(f'no row of split {split!r} in {path}: found Usage {", ".join(sorted(found)) or "nowhere"}')
    faces = _face_set(images, np.eye(len(EMOTIONS), dtype=np.float32)[labels], names, skipped)
    if table is not None:
        faces.votes = np.array(votes, np.float32).reshape(-1, len(CHOICES))
    return faces


def _parse_row(emotion: str, pixels: str, usage: str) -> tuple[np.ndarray, int]:
    if not usage:
        raise ValueError('no Usage')
    image = np.array(pixels.split(), np.int64)
    label = int(emotion)
    least, most = (int(np.min(image)), int(np.max(image))) if image.size else (0, 0)
    if image.size != INPUT_SIZE ** 2 or least < 0 or most > 255:
        raise ValueError(f'expected {INPUT_SIZE ** 2} pixels of 0 to 255, got {image.size}'
                         + (f' of {least} to {most}' if image.size else ''))
    if not 0 <= label < len(EMOTIONS):
        raise ValueError(f'emotion {label} is not in 0 to {len(EMOTIONS) - 1}')
    return image.astype(np.uint8).reshape(INPUT_SIZE, INPUT_SIZE), label


def _face_set(images: list[np.ndarray], targets: np.ndarray, names: list[str], skipped: list[str]) -> FaceSet:
    return FaceSet(np.array(images, np.uint8).reshape(-1, INPUT_SIZE, INPUT_SIZE),
                   targets.reshape(-1, len(EMOTIONS)), names, skipped)


def subset(faces: FaceSet, count: int) -> FaceSet:
    """`count` faces taken evenly over the set, whose order is by class, so that every class keeps its share."""
    return select(faces, np.unique(np.linspace(0, len(faces) - 1, min(count, len(faces))).astype(int)))


def select(faces: FaceSet, chosen: np.ndarray) -> FaceSet:
    """The faces at the indices `chosen`, in that order."""
    return FaceSet(faces.images[chosen], faces.targets[chosen], [faces.names[i] for i in chosen], faces.skipped,
                   None if faces.votes is None else faces.votes[chosen])
