"""What readers raise."""


class DataError(ValueError):
    """The data set cannot be used as it is; the message names the place and the remedy."""
