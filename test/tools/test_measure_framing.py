import os

import cv2
import numpy as np
import pytest

from fer_ros.media.built_in_clip import PORTRAITS, portraits
from fer_ros.perception.cropping import FRAMING
from fer_ros.perception.detection import Detection
from fer_ros.tools import measure_framing

FER2013 = os.environ.get('FER2013_DIR')


def test_relate():
    detection = Detection((110.0, 125.0, 160.0, 160.0), 0.9,
                          np.array([[160, 180], [240, 180], [200, 210], [200, 260], [0, 0], [0, 0]], np.float32))
    side, up, right, *points = measure_framing.relate(detection, 100, 200)
    assert (side, up, right) == pytest.approx((1.25, 0.025, 0.05))
    assert points == pytest.approx([0.3, 0.4, 0.7, 0.4, 0.5, 0.8])


@pytest.fixture
def data(tmp_path):
    """A data set of the two portraits, cut as the shipped framing says."""
    for emotion, name in (('happy', 'astronaut'), ('neutral', 'hopper')):
        x, y, size, _ = PORTRAITS[name].face
        side, up = FRAMING['short'].side * size, FRAMING['short'].up * FRAMING['short'].side * size
        left, top = round(x + size / 2 - side / 2), round(y + size / 2 - up - side / 2)
        crop = portraits()[name][top:top + round(side), left:left + round(side)]
        (tmp_path / 'validation' / emotion).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / 'validation' / emotion / 'face.png'),
                    cv2.resize(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), (48, 48), interpolation=cv2.INTER_AREA))
    return tmp_path


def test_finds_the_framing_that_pictures_were_cut_with(data, shipped_model, capsys):
    assert measure_framing.main(['--data', str(data), '--model', str(shipped_model)]) == 0
    said = capsys.readouterr().out
    assert '2 of 2 faces found' in said
    side, up = (float(line.split()[2].rstrip(',')) for line in said.splitlines() if line.startswith(('side', 'up')))
    assert side == pytest.approx(FRAMING['short'].side, abs=0.12)
    assert up == pytest.approx(FRAMING['short'].up, abs=0.06)
    assert said.count('accuracy') == 5


def test_mistakes_are_one_line(tmp_path, data, capsys):
    assert measure_framing.main(['--data', str(tmp_path / 'none')]) == 1
    assert capsys.readouterr().err.count('\n') == 1
    assert measure_framing.main(['--data', str(data), '--detector', 'yunet']) == 1
    assert 'yunet requires detector_model' in capsys.readouterr().err


def test_nothing_to_measure(tmp_path, capsys):
    (tmp_path / 'validation/happy').mkdir(parents=True)
    cv2.imwrite(str(tmp_path / 'validation/happy/blank.png'), np.full((48, 48), 99, np.uint8))
    assert measure_framing.main(['--data', str(tmp_path)]) == 1
    assert 'no face found' in capsys.readouterr().err


@pytest.mark.skipif(not FER2013, reason='set FER2013_DIR to the folder with FER2013\'s train and validation')
@pytest.mark.parametrize('kind', ['short', 'full'])
def test_shipped_constants_are_those_of_the_data(kind, capsys):
    assert measure_framing.main(['--data', FER2013, '--detector', kind, '--count', '500']) == 0
    said = capsys.readouterr().out
    side, up = (float(line.split()[2].rstrip(',')) for line in said.splitlines() if line.startswith(('side', 'up')))
    assert side == pytest.approx(FRAMING[kind].side, abs=0.03)
    assert up == pytest.approx(FRAMING[kind].up, abs=0.01)
