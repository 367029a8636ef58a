"""Less confidence in a face that is lit from one side.

Half of such a face is hardly seen. The network is right about it less often, yet as sure as of other faces or a little
surer: it has learnt to look past the shadow. So the shadow is measured in the picture.
"""

from torch import Tensor

from fer_ros.msfernet.preprocessing import middle

USUAL = 1.0
"""Difference of the two halves that an eighth of FER2013's faces exceed, in standard deviations of the face."""
SLOPE = 0.2
"""How much the temperature rises with each standard deviation beyond."""


def temperature(faces: Tensor) -> Tensor:
    """What the logits of a face are divided by.

    Args:
        faces: (N, 1, H, W) standardised.

    Returns:
        (N, 1), at least 1.
    """
    seen = middle(faces)
    half = seen.shape[3] // 2
    difference = (seen[:, :, :, :half].mean((2, 3)) - seen[:, :, :, -half:].mean((2, 3))).abs()
    return 1 + SLOPE * (difference - USUAL).clamp(min=0)
