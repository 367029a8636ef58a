import csv
import logging

import cv2
import numpy as np
import pytest
from msfernet_support import noise_faces, write_pictures, write_split

from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet import data
from fer_ros.msfernet.data import DataError, load, subset
from fer_ros.msfernet.votes import CHOICES


def labels_of(faces):
    return [EMOTIONS[label] for label in faces.labels]


def write_csv(path, rows, header=('emotion', 'pixels', 'Usage')):
    with path.open('w', newline='') as file:
        csv.writer(file).writerows([header, *rows])
    return path


def pixels(image):
    return ' '.join(map(str, image.ravel()))


# Image folders

def test_pictures_arrive_with_their_class(tmp_path):
    happy = write_pictures(tmp_path / 'train' / 'happy', 2, seed=1)
    angry = write_pictures(tmp_path / 'train' / 'angry', 1, seed=2)
    faces = load(tmp_path, 'train', progress=False)
    assert np.array_equal(faces.images, np.concatenate((angry, happy)))
    assert faces.images.dtype == np.uint8
    assert labels_of(faces) == ['angry', 'happy', 'happy']
    assert faces.names == ['train/angry/000.png', 'train/happy/000.png', 'train/happy/001.png']
    assert np.array_equal(faces.targets.sum(1), np.ones(3))
    assert faces.skipped == []


def test_classes_under_their_usual_synonyms(tmp_path):
    synonyms = {'Anger': 'angry', 'disgust': 'disgusted', 'FEAR': 'scared', 'happiness': 'happy', 'sadness': 'sad',
                'surprise': 'surprised', 'Neutral': 'neutral'}
    for name in synonyms:
        write_pictures(tmp_path / 'train' / name, 1)
    faces = load(tmp_path, 'train', progress=False)
    assert sorted(labels_of(faces)) == sorted(EMOTIONS)
    assert all(synonyms[name.split('/')[1]] == label for name, label in zip(faces.names, labels_of(faces), strict=True))


@pytest.mark.parametrize(('folder', 'split'), [
    ('PublicTest', 'validation'), ('val', 'validation'), ('validation', 'PublicTest'), ('Training', 'train'),
    ('PrivateTest', 'test'), ('test', 'PrivateTest'), ('night', 'night')])
def test_splits_under_their_usual_names(tmp_path, folder, split):
    write_pictures(tmp_path / folder / 'happy', 1)
    write_pictures(tmp_path / 'other' / 'happy', 2)
    assert len(load(tmp_path, split, progress=False)) == 1


def test_all_takes_every_split(tmp_path):
    write_pictures(tmp_path / 'train' / 'happy', 2)
    write_pictures(tmp_path / 'test' / 'sad', 1)
    assert len(load(tmp_path, 'all', progress=False)) == 3


def test_colour_and_other_sizes_become_48_grey(tmp_path):
    (tmp_path / 'train' / 'happy').mkdir(parents=True)
    cv2.imwrite(str(tmp_path / 'train' / 'happy' / 'a.jpg'), np.full((96, 80, 3), 200, np.uint8))
    faces = load(tmp_path, 'train', progress=False)
    assert faces.images.shape == (1, 48, 48)
    assert abs(int(faces.images.mean()) - 200) <= 1


def test_broken_pictures_are_named_counted_and_skipped(tmp_path, caplog):
    folder = tmp_path / 'train' / 'happy'
    write_pictures(folder, 3)
    good = cv2.imencode('.jpg', noise_faces(1)[0])[1].tobytes()
    (folder / 'empty.jpg').write_bytes(b'')
    (folder / 'text.jpg').write_text('no picture')
    (folder / 'truncated.jpg').write_bytes(good[:len(good) // 2])
    (folder / 'folder.jpg').mkdir()
    with caplog.at_level(logging.WARNING):
        faces = load(tmp_path, 'train', progress=False)
    assert len(faces) == 3
    assert sorted(faces.skipped) == [f'train/happy/{name}.jpg: not a readable picture'
                                     for name in ('empty', 'folder', 'text', 'truncated')]
    assert '4 of 7 entries skipped' in caplog.text
    assert 'train/happy/truncated.jpg' in caplog.text


def test_folders_that_name_no_emotion_are_named(tmp_path, caplog):
    write_pictures(tmp_path / 'train' / 'happy', 1)
    write_pictures(tmp_path / 'train' / 'bored', 1)
    with caplog.at_level(logging.WARNING):
        assert len(load(tmp_path, 'train', progress=False)) == 1
    assert 'bored' in caplog.text


def test_an_empty_or_wrong_place_is_a_clear_error(tmp_path):
    with pytest.raises(DataError, match=r'no data at .*nowhere'):
        load(tmp_path / 'nowhere', 'train', progress=False)
    with pytest.raises(DataError, match=r'no folder with emotion classes.*<root>/<split>/<class>'):
        load(tmp_path, 'train', progress=False)
    (tmp_path / 'train' / 'happy').mkdir(parents=True)
    with pytest.raises(DataError, match="no readable face for split 'train'"):
        load(tmp_path, 'train', progress=False)
    with pytest.raises(DataError, match=r"no split 'validation'.*found train"):
        load(tmp_path, 'validation', progress=False)


def test_only_broken_pictures_are_an_error_that_names_one(tmp_path):
    (tmp_path / 'train' / 'happy').mkdir(parents=True)
    (tmp_path / 'train' / 'happy' / 'a.png').write_text('no picture')
    with pytest.raises(DataError, match=r'1 skipped.*happy/a\.png'):
        load(tmp_path, 'train', progress=False)


# Kaggle CSV

def test_rows_of_the_csv(tmp_path):
    images = noise_faces(4)
    write_csv(tmp_path / 'fer2013.csv', [
        (3, pixels(images[0]), 'Training'), (0, pixels(images[1]), 'PublicTest'),
        (6, pixels(images[2]), 'Training'), (5, pixels(images[3]), 'PrivateTest')])
    faces = load(tmp_path / 'fer2013.csv', 'train', progress=False)
    assert np.array_equal(faces.images, images[[0, 2]])
    assert labels_of(faces) == ['happy', 'neutral']
    assert faces.names == ['row 2', 'row 4']
    assert labels_of(load(tmp_path, 'validation', progress=False)) == ['angry']
    assert labels_of(load(tmp_path, 'PrivateTest', progress=False)) == ['surprised']
    assert len(load(tmp_path, 'all', progress=False)) == 4


def test_columns_in_another_order_with_spaces(tmp_path):
    image = noise_faces(1)[0]
    path = write_csv(tmp_path / 'icml_face_data.csv', [(1, 'Training', pixels(image))],
                     ('emotion', ' Usage', ' pixels'))
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())  # as spreadsheets save it
    assert labels_of(load(tmp_path, 'train', progress=False)) == ['disgusted']


def test_bad_rows_are_named_counted_and_skipped(tmp_path, caplog):
    good = pixels(noise_faces(1)[0])
    path = write_csv(tmp_path / 'faces.csv', [
        (3, good, 'Training'),
        (9, good, 'Training'),
        ('x', good, 'Training'),
        (3, '1 2 3', 'Training'),
        (3, '', 'Training'),
        (3, good.replace(' ', ' 999 ', 1).rsplit(' ', 1)[0], 'Training'),
        (3, good + '½', 'Training'),
        (3, '9' * 30 + ' ' + good, 'Training'),
        (3, good, ''),
        (3,),
        (4, good, 'Training')])
    with caplog.at_level(logging.WARNING):
        faces = load(path, 'train', progress=False)
    assert labels_of(faces) == ['happy', 'sad']
    assert [reason.split(':')[0] for reason in faces.skipped] == [f'row {n}' for n in range(3, 12)]
    assert 'emotion 9 is not in 0 to 6' in faces.skipped[0]
    assert 'expected 2304 pixels of 0 to 255, got 3' in faces.skipped[2]
    assert 'to 999' in faces.skipped[4]
    assert 'no Usage' in faces.skipped[7]
    assert '9 of 11 entries skipped' in caplog.text


def test_bytes_that_are_no_text_spoil_one_row(tmp_path):
    good = pixels(noise_faces(1)[0])
    path = write_csv(tmp_path / 'faces.csv', [(3, good, 'Training'), (3, 'BAD' + good, 'Training')])
    path.write_bytes(path.read_bytes().replace(b'BAD', b'\xff\xfe\x80'))
    faces = load(path, 'train', progress=False)
    assert len(faces) == 1
    assert len(faces.skipped) == 1


@pytest.mark.parametrize(('content', 'message'), [
    (b'', 'lacks the column'), (b'emotion,pixels\n1,2\n', "lacks the column 'usage'"),
    (bytes(range(256)) * 1000, 'faces.csv (lacks the column|is not a readable CSV)'),
    (b'a' * 200_000, 'is not a readable CSV')])
def test_a_file_that_is_no_csv_of_faces_is_a_clear_error(tmp_path, content, message):
    path = tmp_path / 'faces.csv'
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(path, 'train', progress=False)


def test_a_csv_without_the_split_says_what_is_there(tmp_path):
    path = write_csv(tmp_path / 'faces.csv', [(3, pixels(noise_faces(1)[0]), 'Training')])
    with pytest.raises(DataError, match=r"no row of split 'test'.*Training"):
        load(path, 'test', progress=False)


VOTES = ('Usage', 'Image name', 'neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear', 'contempt',
         'unknown', 'NF')


def test_votes_beside_the_csv_come_with_its_rows(tmp_path):
    images = noise_faces(4)
    write_csv(tmp_path / 'fer2013.csv', [(0, pixels(image), 'Training') for image in images])
    write_csv(tmp_path / 'fer2013new.csv', [
        ('Training', 'a', 4, 5, 0, 0, 0, 0, 0, 1, 0, 0),
        ('Training', '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 10),
        ('Training', 'c', 0, 0, 0, 0, 0, 0, 10, 0, 0, 0)], VOTES)
    faces = load(tmp_path, 'train', progress=False)
    assert np.array_equal(faces.images, images[:3])
    assert labels_of(faces) == ['angry'] * 3, "the data set's own labels stay"
    assert [dict(zip(CHOICES, row, strict=True))[choice] for row, choice in
            zip(faces.votes, ('happy', 'no_face', 'scared'), strict=True)] == [5, 10, 10]
    assert faces.votes.sum(1).tolist() == [10, 10, 10]
    assert faces.skipped == ['row 5: no FER+ votes for it']


def test_votes_that_cannot_be_read_are_a_clear_error(tmp_path):
    write_csv(tmp_path / 'fer2013.csv', [(0, pixels(noise_faces(1)[0]), 'Training')])
    write_csv(tmp_path / 'fer2013new.csv', [('Training', 'a', 'many')], ('Usage', 'Image name', 'neutral'))
    with pytest.raises(DataError, match=r"fer2013new\.csv lacks the column 'anger'"):
        load(tmp_path, 'train', progress=False)
    write_csv(tmp_path / 'fer2013new.csv', [('Training', 'a', 'many', *[0] * 9)], VOTES)
    with pytest.raises(DataError, match=r'fer2013new\.csv, line 2: a vote is not a number'):
        load(tmp_path, 'train', progress=False)


def test_a_csv_takes_no_other_votes(tmp_path):
    write_csv(tmp_path / 'fer2013.csv', [(0, pixels(noise_faces(1)[0]), 'Training')])
    with pytest.raises(DataError, match='is for image folders'):
        load(tmp_path, 'train', votes=tmp_path / 'votes.csv', progress=False)


def test_folders_take_votes_from_a_table(tmp_path):
    write_pictures(tmp_path / 'train' / 'happy', 3)
    table = tmp_path / 'votes.csv'
    table.write_text('picture,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,no_face\n'
                     'train/happy/001.png,1,7,0,0,0,0,0,0,2,0\nvalidation/happy/000.png,9,1,0,0,0,0,0,0,0,0\n')
    faces = load(tmp_path, 'train', votes=table, progress=False)
    assert faces.votes.sum(1).tolist() == [0, 10, 0]
    assert faces.votes[1, CHOICES.index('happy')] == 7
    assert load(tmp_path, 'train', progress=False).votes is None
    assert data.subset(faces, 2).votes.shape == (2, 10)


# CK+48

@pytest.fixture
def ck(tmp_path):
    for subject in range(11):
        for name in ('anger', 'happy', 'contempt'):
            folder = tmp_path / name
            write_pictures(folder, 3, seed=subject)
            for frame in range(3):
                (folder / f'{frame:03}.png').rename(folder / f'S{subject:03}_{subject % 4:03}_{frame:08}.png')
    return tmp_path


def subjects_of(faces):
    return {name.split('/')[1].split('_')[0] for name in faces.names}


def test_folds_hold_whole_subjects(ck):
    everyone = []
    for fold in range(data.FOLDS):
        training = load(ck, f'fold{fold}-train', progress=False)
        held_out = load(ck, f'fold{fold}-validation', progress=False)
        assert subjects_of(training).isdisjoint(subjects_of(held_out))
        assert len(subjects_of(training) | subjects_of(held_out)) == 11
        assert len(training) + len(held_out) == 11 * 3 * 2
        everyone += sorted(subjects_of(held_out))
    assert len(everyone) == len(set(everyone)) == 11


def test_contempt_is_left_out_without_a_warning(ck, caplog):
    with caplog.at_level(logging.WARNING):
        faces = load(ck, 'all', progress=False)
    assert set(labels_of(faces)) == {'angry', 'happy'}
    assert caplog.text == ''


def test_a_picture_without_a_subject_is_in_no_fold(ck):
    write_pictures(ck / 'happy', 1)
    faces = load(ck, 'fold0-train', progress=False)
    assert faces.skipped == ['happy/000.png: no subject in its name']
    assert 'happy/000.png' not in faces.names


def test_classes_without_splits_say_which_splits_there_are(ck, tmp_path_factory):
    with pytest.raises(DataError, match=r"use split all, or fold0-train.*not 'validation'"):
        load(ck, 'validation', progress=False)
    with pytest.raises(DataError, match='fold4'):
        load(ck, 'fold5-train', progress=False)
    plain = tmp_path_factory.mktemp('plain')
    write_split(plain, 1)
    assert len(load(plain, 'all', progress=False)) == 7
    with pytest.raises(DataError, match="use split all, not 'train'"):
        load(plain, 'train', progress=False)


def test_a_subset_keeps_every_class(tmp_path):
    write_split(tmp_path / 'train', 4)
    faces = load(tmp_path, 'train', progress=False)
    part = subset(faces, 14)
    assert len(part) == len(part.names) == 14
    assert set(labels_of(part)) == set(EMOTIONS)
    assert len(subset(faces, 1000)) == len(faces)
