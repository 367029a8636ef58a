import numpy as np
import pytest

from fer_ros.media.built_in_clip import DURATION, BuiltInClip, Placement, Stage, portraits


def inside(box, width, height):
    x, y, w, h = box
    return x >= 0 and y >= 0 and x + w <= width and y + h <= height


def test_tells_the_story_in_order():
    clip = BuiltInClip(rate=10)
    seen = []
    for index in range(len(clip)):
        names = sorted(name for name, box in clip.expected(index) if inside(box, 640, 480))
        if not seen or seen[-1] != names:
            seen.append(names)
    both = ['astronaut', 'hopper']
    assert seen[:4] == [['astronaut'], both, ['hopper'], []]
    assert len(seen[4]) == 1, 'one is wholly back a little before the other'
    assert both in seen[5:]
    assert seen[-1] == ['astronaut']


def test_nobody_for_a_second():
    clip = BuiltInClip(rate=10)
    empty = [index for index in range(len(clip)) if not clip.expected(index)]
    assert len(empty) >= 10
    assert empty == list(range(empty[0], empty[-1] + 1))
    assert (clip[empty[5]].std((0, 1)) < 12).all(), 'only the plain background is left'


def test_repeats_without_a_jump():
    clip = BuiltInClip(rate=30)
    (name, first), = clip.expected(0)
    (last_name, last), = clip.expected(len(clip) - 1)
    assert name == last_name
    assert np.abs(np.subtract(first, last)).max() < 6, 'no further than from any frame to the next'


def test_is_a_sequence_of_equal_frames_every_time():
    clip = BuiltInClip(160, 120, rate=5)
    frames = list(clip)
    assert len(frames) == len(clip) == DURATION * 5
    assert all(f.shape == (120, 160, 3) and f.dtype == np.uint8 for f in frames)
    assert all((f == g).all() for f, g in zip(frames, BuiltInClip(160, 120, rate=5), strict=True))
    assert (clip[-1] == frames[-1]).all()
    frames[0][:] = 0
    assert clip[0].any(), 'a frame belongs to whoever asked for it'
    with pytest.raises(IndexError):
        clip[len(clip)]


def test_light_changes():
    clip = BuiltInClip(rate=10)
    assert clip[63].mean() < 0.7 * clip[45].mean()


def test_size_changes_the_scale_alone():
    small, large = BuiltInClip(), BuiltInClip(1280, 960)
    for (_, a), (_, b) in zip(small.expected(180), large.expected(180), strict=True):
        assert np.allclose(np.multiply(a, 2), b)
    assert BuiltInClip(1920, 1080)[0].shape == (1080, 1920, 3)


def test_faces_are_where_it_says():
    """The drawn face's pixels are the portrait's, at the box."""
    stage = Stage(640, 480)
    frame = stage.draw([Placement('hopper', 0.5, 0.5, 194.5)])
    x, y, w, h = (round(v) for v in stage.face_box(Placement('hopper', 0.5, 0.5, 194.5)))
    assert (w, h) == (194, 194)
    portrait = portraits()['hopper'][147:147 + h, 171:171 + w]
    assert np.corrcoef(frame[y:y + h, x:x + w].ravel(), portrait.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(('arguments', 'said'), [
    ({'width': 0}, '0×480'), ({'height': -5}, '640×-5'), ({'rate': 0}, 'got 0'), ({'rate': float('inf')}, 'got inf')])
def test_bad_arguments_are_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        BuiltInClip(**arguments)
