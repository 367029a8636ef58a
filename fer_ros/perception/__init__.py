"""A camera image in, the faces in it and their emotions out. No ROS here."""


class PipelineError(Exception):
    """The pipeline cannot be set up as asked; the text names what is wrong and the remedy."""
