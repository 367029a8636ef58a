import numpy as np
import pytest

from benchmarks.reidentification import load, recognised, similarities
from fer_ros.msfernet.errors import DataError


def pairs(vectors, persons):
    rows, columns = np.triu_indices(len(persons), 1)
    same = persons[rows] == persons[columns]
    return recognised(similarities(vectors)[rows, columns], same, ~same)


def test_a_feature_of_the_person_recognises_and_one_of_chance_does_not():
    generator = np.random.default_rng(0)
    persons = np.repeat(np.arange(60), 3)
    own = generator.normal(size=(60, 30))[persons] + 0.1 * generator.normal(size=(180, 30))
    assert pairs(own, persons) == [1.0, 1.0]
    assert max(pairs(generator.normal(size=(180, 30)), persons)) < 0.05


def test_a_face_without_the_feature_is_not_recognised():
    persons = np.repeat(np.arange(60), 2)
    own = np.random.default_rng(0).normal(size=(60, 30))[persons]
    own[0] = np.nan
    assert pairs(own, persons)[0] == pytest.approx(59 / 60)


def test_another_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=f'no pictures .* in {tmp_path}'):
        load(tmp_path)
