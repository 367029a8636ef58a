"""From a camera image to its faces and their emotions. No ROS."""


class PipelineError(Exception):
    """The pipeline cannot be set up or cannot process a frame; the message names the problem and the remedy."""
