"""Confidence under light from one side."""

import numpy as np
import pytest
import torch

from fer_ros.msfernet import side_light
from fer_ros.msfernet.preprocessing import network_input


def lit(left: float, right: float, size: int = 48) -> np.ndarray:
    """A face of noise, lit by `left` and `right` at its sides, (1, size, size) uint8."""
    grain = np.random.default_rng(0).uniform(60, 200, (size, size))
    return (grain * np.linspace(left, right, size)).astype(np.uint8)[None]


def test_even_light_changes_nothing():
    assert side_light.temperature(network_input(lit(1.0, 1.0))).tolist() == [[1.0]]
    assert side_light.temperature(network_input(np.full((1, 48, 48), 90, np.uint8))).tolist() == [[1.0]]


def test_the_steeper_the_light_the_higher_whichever_side_it_comes_from():
    values = [side_light.temperature(network_input(lit(1.0, right))).item() for right in (0.5, 0.2, 0.1, 0.0)]
    assert values == sorted(values) and values[-1] > 1.05
    mirrored = side_light.temperature(network_input(np.ascontiguousarray(lit(1.0, 0.1)[:, :, ::-1]))).item()
    assert mirrored == pytest.approx(values[2], abs=1e-6)


def test_exposure_does_not_matter():
    bright, dark = (side_light.temperature(network_input((lit(1.0, 0.1) * gain).astype(np.uint8))) for gain in (1, 0.5))
    torch.testing.assert_close(bright, dark, atol=0.01, rtol=0)


@pytest.mark.parametrize('size', [16, 17, 32])
def test_other_sizes(size):
    assert side_light.temperature(network_input(lit(1.0, 0.0, size))).item() > 1.0


def test_the_network_is_less_sure_of_the_raters_labels_only(shipped_model):
    from fer_ros.msfernet.weights import load_model
    network = load_model(shipped_model).network.eval()
    faces = network_input(np.concatenate([lit(1.0, 0.1), lit(1.0, 1.0)]))
    with torch.inference_mode():
        output = network(faces)
        plain = network.classifier(output.embedding)
        own = network.fer2013_classifier(output.embedding)
    divided = plain / output.logits
    assert divided[0].min() > 1.03 and torch.allclose(divided[0], divided[0, :1].expand(7), atol=1e-4)
    torch.testing.assert_close(output.logits[1], plain[1])
    torch.testing.assert_close(output.fer2013_logits, own)
