"""Training losses: supervised contrastive, and cross-entropy on soft labels."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def supervised_contrastive_loss(features: Tensor, labels: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Pull faces of one class together and push the others away (Khosla et al., NeurIPS 2020, equation 2, L_out).

    Each sample is an anchor; its positives are the other samples of its class. Anchors without a positive
    have nothing to be pulled to and do not count.

    Args:
        features: (N, D) of any length; normalised here, in float32 whatever their dtype.
        labels: (N,) integer classes.
        temperature: above 0.

    Returns:
        Scalar float32 mean over anchors with a positive; 0 (with a gradient of 0) where there is none.
    """
    if temperature <= 0:
        raise ValueError(f'temperature must be above 0, got {temperature}')
    features = functional.normalize(features.float(), dim=1)
    similarity = features @ features.T / temperature
    itself = torch.eye(len(features), dtype=torch.bool, device=features.device)
    log_probability = similarity - similarity.masked_fill(itself, -torch.inf).logsumexp(1, keepdim=True)
    positive = (labels[:, None] == labels[None, :]) & ~itself
    count = positive.sum(1)
    anchors = count > 0
    if not anchors.any():
        return features.sum() * 0.0
    per_anchor = -(log_probability * positive).sum(1)[anchors] / count[anchors]
    return per_anchor.mean()


def soft_cross_entropy(logits: Tensor, targets: Tensor, *, smoothing: float = 0.0,
                       weights: Tensor | None = None) -> Tensor:
    """Cross-entropy against probabilities, mixed with the uniform distribution by `smoothing`.

    Args:
        logits: (N, C).
        targets: (N, C) probabilities, rows summing to 1.
        smoothing: 0 to 1.
        weights: (N,) of the samples, at least 0; equal by default.

    Returns:
        Scalar float32 weighted mean over samples; 0 (with a gradient of 0) where all weights are 0.
    """
    targets = targets * (1 - smoothing) + smoothing / targets.shape[1]
    losses = -(targets * logits.float().log_softmax(1)).sum(1)
    return losses.mean() if weights is None else (losses * weights).sum() / weights.sum().clamp(min=1e-6)


class ProjectionHead(nn.Sequential):
    """Maps embeddings to the space of the contrastive loss; used in training only (Khosla et al., section 3.1)."""

    def __init__(self, embedding_size: int, *, hidden: int = 256, size: int = 128):
        super().__init__(nn.Linear(embedding_size, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, size))
