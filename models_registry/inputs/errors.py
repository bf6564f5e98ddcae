"""What readers raise."""


class DataError(ValueError):
    """The data set cannot be used as it is; the message names the place and the remedy."""


class ImageTooLarge(DataError):
    """One image of an archive has too many bytes; the others can be used."""
