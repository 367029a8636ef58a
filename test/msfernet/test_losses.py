import math

import pytest
import torch
from torch.nn import functional

from fer_ros.msfernet.losses import ProjectionHead, soft_cross_entropy, supervised_contrastive_loss


def double_loop(features, labels, temperature):
    """Equation 2 of Khosla et al., term by term."""
    unit = [f / f.norm() for f in features]
    anchors = []
    for i in range(len(unit)):
        positives = [p for p in range(len(unit)) if p != i and labels[p] == labels[i]]
        if not positives:
            continue
        others = sum(torch.exp(unit[i] @ unit[a] / temperature) for a in range(len(unit)) if a != i)
        terms = [torch.log(torch.exp(unit[i] @ unit[p] / temperature) / others) for p in positives]
        anchors.append(-sum(terms) / len(positives))
    return sum(anchors) / len(anchors)


@pytest.mark.parametrize('temperature', [0.1, 0.5])
@pytest.mark.parametrize('labels', [[0, 1, 0, 1, 2, 2, 0], [3, 3, 3, 3, 3, 3, 3], [0, 1, 2, 3, 4, 5, 5]])
def test_value_and_gradient_agree_with_a_double_loop(labels, temperature):
    torch.manual_seed(0)
    features = torch.randn(7, 5, requires_grad=True)
    reference = features.detach().double().requires_grad_()
    loss = supervised_contrastive_loss(features, torch.tensor(labels), temperature=temperature)
    expected = double_loop(reference, labels, temperature)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(features.grad, reference.grad.float(), rtol=1e-4, atol=1e-6)


def test_identical_features_of_one_class_cost_the_logarithm_of_the_others():
    features = torch.ones(9, 4, requires_grad=True)
    loss = supervised_contrastive_loss(features, torch.zeros(9, dtype=torch.long))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(8), rel=1e-5)
    assert torch.isfinite(features.grad).all()


def test_separated_classes_cost_almost_nothing():
    features = torch.eye(3).repeat_interleave(2, 0)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    assert supervised_contrastive_loss(features, labels, temperature=0.05).item() < 1e-6


def test_an_anchor_without_positives_does_not_count_but_repels():
    torch.manual_seed(0)
    features = torch.randn(5, 4)
    labels = [0, 0, 1, 1, 2]
    loss = supervised_contrastive_loss(features, torch.tensor(labels))
    assert loss.item() == pytest.approx(double_loop(features.double(), labels, 0.1).item(), rel=1e-5)
    assert loss > supervised_contrastive_loss(features[:4], torch.tensor(labels[:4]))


def test_no_positives_at_all_give_zero_and_no_gradient():
    features = torch.randn(4, 3, requires_grad=True)
    loss = supervised_contrastive_loss(features, torch.arange(4))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(features.grad, torch.zeros(4, 3))


def test_a_feature_of_zeros_keeps_the_gradient_finite():
    features = torch.zeros(4, 3, requires_grad=True)
    supervised_contrastive_loss(features, torch.tensor([0, 0, 1, 1])).backward()
    assert torch.isfinite(features.grad).all()


def test_bfloat16_features_are_computed_in_float32():
    torch.manual_seed(0)
    features = torch.randn(16, 8).bfloat16().requires_grad_()
    labels = torch.arange(16) % 4
    loss = supervised_contrastive_loss(features, labels)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(supervised_contrastive_loss(features.detach().float(), labels).item(), rel=1e-6)
    assert features.grad.dtype == torch.bfloat16
    assert torch.isfinite(features.grad).all()


def test_length_of_features_does_not_matter():
    torch.manual_seed(0)
    features, labels = torch.randn(8, 4), torch.arange(8) % 2
    scaled = features * torch.linspace(0.01, 100, 8)[:, None]
    torch.testing.assert_close(supervised_contrastive_loss(features, labels),
                               supervised_contrastive_loss(scaled, labels))


@pytest.mark.parametrize('temperature', [0.0, -1.0])
def test_a_temperature_must_be_above_zero(temperature):
    with pytest.raises(ValueError, match='temperature must be above 0'):
        supervised_contrastive_loss(torch.ones(2, 2), torch.zeros(2), temperature=temperature)


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_cross_entropy_of_hard_labels_is_the_usual_one(smoothing):
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 7), torch.tensor([0, 1, 2, 3, 6, 6])
    torch.testing.assert_close(
        soft_cross_entropy(logits, functional.one_hot(labels, 7).float(), smoothing=smoothing),
        functional.cross_entropy(logits, labels, label_smoothing=smoothing))


def test_cross_entropy_of_the_true_probabilities_is_their_entropy():
    probabilities = torch.tensor([[0.5, 0.25, 0.25]])
    assert soft_cross_entropy(probabilities.log(), probabilities).item() == pytest.approx(1.5 * math.log(2))


def test_projection_head_maps_embeddings_to_its_size():
    assert ProjectionHead(24, hidden=16, size=8)(torch.zeros(3, 24)).shape == (3, 8)
