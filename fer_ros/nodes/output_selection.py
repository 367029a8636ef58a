"""Creates the outputs of the node `fer`."""

from types import SimpleNamespace

from rclpy.lifecycle import LifecycleNode

from fer_ros.nodes import detections_output, humans_output
from fer_ros.nodes.outputs import AnnotatedOutput, FacesOutput, Output, PrimaryOutput

SILENCE = 2.0
"""Minimum seconds without a frame after which an empty ``tracked`` is published."""


def create_outputs(node: LifecycleNode, parameters: SimpleNamespace, with_images: bool) -> list[Output]:
    """Create the outputs that are enabled by the parameters and whose messages are installed.

    Args:
        node: the node.
        parameters: kept, since annotated may change at any time.
        with_images: whether frames have images, and boxes in pixels.
    """
    outputs: list[Output] = [PrimaryOutput(node), FacesOutput(node)]
    namespace, grace = parameters.humans_namespace, parameters.humans_grace
    if not with_images:  # ids and face images are published by the node that detects them
        return [*outputs, humans_output.ExpressionOutput(node, namespace, grace)]
    outputs.append(AnnotatedOutput(node, lambda: parameters.annotated))
    if detections_output.available():
        outputs.append(detections_output.DetectionsOutput(node))
    if parameters.ros4hri and humans_output.available():
        outputs.append(humans_output.HumansOutput(node, namespace, grace, max(parameters.track_timeout, SILENCE)))
    elif parameters.ros4hri:
        node.get_logger().warning(f'ros4hri is true, but {humans_output.INSTALL}; everything else works')
    return outputs
