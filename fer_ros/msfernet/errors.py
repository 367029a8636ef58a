"""What the training's programs raise for a user's mistake."""


class DataError(Exception):
    """The data set cannot be used; the text names the place and the remedy."""
