"""Photos as inputs: one row per face, a contact sheet, and a summary that counts them."""

import csv
import io
import json

import cv2
import numpy as np
import PIL.Image
import pytest

from fer_ros.drawing.contact_sheet import ContactSheet
from fer_ros.emotions import EMOTIONS
from fer_ros.media.built_in_clip import portraits
from fer_ros.media.frame_sources import read_picture
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
from fer_ros.recordings.inputs import InputError, find_inputs
from fer_ros.recordings.processing import Settings, finished, process
from fer_ros.results.faces import FaceEmotion, FacesFrame
from fer_ros.results.faces_csv import COLUMNS

ORIENTATIONS = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
                5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a, 1),
                7: lambda a: np.rot90(a.transpose(1, 0, 2), 2), 8: lambda a: np.rot90(a, -1)}
"""How the pixels of an upright photo lie in a file with this orientation."""


@pytest.fixture(scope='module')
def pipeline():
    with FacePipeline(PipelineSettings()) as pipeline:
        yield pipeline


def portrait(name='astronaut'):
    return portraits()[name]


def save(path, image, orientation=1, form='JPEG'):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(np.ascontiguousarray(image[..., ::-1])).save(path, form, exif=exif)
    return path


def rows_of(path):
    with path.open(encoding='utf-8') as file:
        return list(csv.DictReader(file))


def run(path, folder, pipeline, **kwargs):
    item, = find_inputs([str(path)])
    assert item.kind == 'photos'
    return item, process(item, folder, Settings(**kwargs), pipeline)


@pytest.mark.parametrize('form', ['JPEG', 'PNG', 'TIFF', 'WEBP'])
@pytest.mark.parametrize('orientation', ORIENTATIONS)
def test_orientation_of_exif(tmp_path, form, orientation):
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20, :30], upright[:20, 30:] = 255, 128
    path = save(tmp_path / 'photo', ORIENTATIONS[orientation](upright), orientation, form)
    read = read_picture(path)
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).mean() < 3


@pytest.mark.parametrize('orientation', [3, 6, 8])
def test_a_single_photo_that_a_phone_has_turned(tmp_path, pipeline, orientation):
    path = save(tmp_path / 'IMG_1.JPG', ORIENTATIONS[orientation](portrait()), orientation)
    _, summary = run(path, tmp_path / 'out', pipeline)
    row, = rows_of(tmp_path / 'out' / 'IMG_1.csv')
    assert list(row) == [*COLUMNS, 'photo']
    assert (row['photo'], row['time_s'], row['frame'], row['face_id']) == ('IMG_1.JPG', '0.000000', '0', 'f1')
    assert row['emotion'] == 'happy' and float(row['valence']) > 0.5
    assert (summary['photos'], summary['faces_seen'], summary['frames_with_face']) == (1, 1, 1)
    assert summary['mean_valence'] == pytest.approx(float(row['valence']), abs=1e-4)
    sheet = cv2.imread(str(tmp_path / 'out' / 'IMG_1.png'))
    assert min(sheet.shape[:2]) > 300


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / 'album'
    folder.mkdir()
    save(folder / 'photo2.jpg', portrait())
    save(folder / 'photo10.png', portrait('hopper'), form='PNG')
    both = np.hstack([cv2.resize(portrait(name), (400, 400)) for name in ('astronaut', 'hopper')])
    save(folder / 'photo11.webp', both, form='WEBP')
    save(folder / 'wall.tiff', np.full((300, 200, 3), 90, np.uint8), form='TIFF')
    return folder


def test_a_folder_of_photos(tmp_path, pipeline, album):
    item, summary = run(album, tmp_path / 'out', pipeline, annotated=True)
    rows = rows_of(tmp_path / 'out' / 'album.csv')
    assert [(r['photo'], r['frame']) for r in rows] == [
        ('photo2.jpg', '0'), ('photo10.png', '1'), ('photo11.webp', '2'), ('photo11.webp', '2')]
    assert [r['face_id'] for r in rows] == ['f1', 'f2', 'f3', 'f4'], 'no face continues one of another photo'
    assert {r['time_s'] for r in rows} == {'0.000000'}
    assert summary['warning'] == ''
    assert {k: summary[k] for k in ('photos', 'frames', 'frames_with_face', 'faces_seen', 'faces_seen_shortly', 'cuts',
                                    'duration_s', 'face_seconds')} == {
        'photos': 4, 'frames': 4, 'frames_with_face': 3, 'faces_seen': 4, 'faces_seen_shortly': 0, 'cuts': 0,
        'duration_s': 0.0, 'face_seconds': 0.0}
    assert summary['mean_valence'] == pytest.approx(np.mean([float(r['valence']) for r in rows]), abs=1e-3)
    for emotion in EMOTIONS:
        assert summary['emotions'][emotion] == pytest.approx(sum(r['emotion'] == emotion for r in rows) / 4)
    assert {p.name for p in (tmp_path / 'out').iterdir()} == {'album.csv', 'album.json', 'album.png'}, 'no video'
    assert json.loads((tmp_path / 'out' / 'album.json').read_text())['photos'] == 4
    assert finished(item, tmp_path / 'out', Settings(annotated=True))
    save(album / 'photo3.jpg', portrait())
    assert not finished(item, tmp_path / 'out', Settings(annotated=True))


def test_the_same_photo_is_read_alike_wherever_it_comes(tmp_path, pipeline, album):
    run(album, tmp_path / 'out', pipeline)
    run(album / 'photo10.png', tmp_path / 'alone', pipeline)
    values = [{k: v for k, v in row.items() if k not in ('frame', 'face_id')} for row in (
        rows_of(tmp_path / 'out' / 'album.csv')[1], rows_of(tmp_path / 'alone' / 'photo10.csv')[0])]
    assert values[0] == values[1]


def test_photos_that_cannot_be_decoded_are_named(tmp_path, pipeline, album):
    (album / 'broken.jpg').write_bytes(b'\xff\xd8\xff broken')
    (album / 'empty.png').write_bytes(b'')
    (album / 'IMG_2.HEIC').write_bytes(b'\0\0\0\x18ftypheic' + bytes(100))
    save(album / 'IMG_3.dng', portrait(), form='TIFF')
    _, summary = run(album, tmp_path / 'out', pipeline)
    assert summary['photos'] == 4
    assert summary['warning'].startswith('4 of 8 photos cannot be decoded: ')
    for name in ('broken.jpg (damaged)', 'empty.png (damaged)', 'IMG_2.HEIC: convert HEIF and AVIF to JPEG',
                 'IMG_3.dng: convert raw photos to JPEG'):
        assert str(album / name) in summary['warning']
    with pytest.raises(InputError, match=r'1 of 1 photos cannot be decoded: .*broken\.jpg'):
        run(album / 'broken.jpg', tmp_path / 'out2', pipeline)


def test_a_name_that_spreadsheets_take_for_a_formula(tmp_path, pipeline):
    run(save(tmp_path / '=1+1.jpg', portrait()), tmp_path / 'out', pipeline)
    row, = rows_of(tmp_path / 'out' / '_=1+1.csv')
    assert row['photo'] == "'=1+1.jpg"


def frame(*faces):
    return FacesFrame(0, 'album', 800, 600, faces)


def test_sheet_shows_each_photo_with_its_faces_and_name():
    sheet = ContactSheet(5)
    face = FaceEmotion('f1', (200.0, 150.0, 400.0, 300.0), (0, 0, 0, 1, 0, 0, 0), 'happy', 0.9, 0.9, 0.9)
    for level in (0, 40, 80, 120, 160):
        sheet.add(np.full((600, 800, 3), level, np.uint8), frame(*([face] if level == 40 else [])), f'{level}.jpg')
    picture = sheet.picture()
    height, width = picture.shape[0] // 2, picture.shape[1] // 3
    cells = [picture[y:y + height, x:x + width] for y in (0, height) for x in (0, width, 2 * width)]
    middles = [int(cell[round(height * 0.5), round(width * 0.5)].mean()) for cell in cells]
    assert middles == [0, 40, 80, 120, 160, 245]
    assert all((cell[-25:].min(axis=2) < 120).any() for cell in cells[:5]), 'names'
    colours = [len(np.unique(cell[:-30].reshape(-1, 3), axis=0)) for cell in cells]
    assert colours[1] > 10 * max(colours[0], colours[2])


@pytest.mark.parametrize('count', [1, 7, 300, 5000])
def test_sheet_of_any_number_of_photos(count):
    sheet = ContactSheet(count)
    tiny = np.full((30, 40, 3), 100, np.uint8)
    for _ in range(count):
        sheet.add(tiny, frame(), 'a.jpg')
    height, width = sheet.picture().shape[:2]
    assert 64 < width < 10_000 and 30 < height < 10_000


def test_sheet_of_odd_shapes():
    sheet = ContactSheet(3)
    for shape in ((1, 5000, 3), (5000, 1, 3), (2, 2, 3)):
        sheet.add(np.zeros(shape, np.uint8), frame(), 'x' * 300)
    assert sheet.picture().shape[2] == 3
    assert io.BytesIO(cv2.imencode('.png', sheet.picture())[1]).getvalue()
