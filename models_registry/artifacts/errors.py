"""What can be wrong with an input or with a model's file; the messages are for the person who sent it."""


class InvalidInput(ValueError):
    """An input that cannot be classified: not an image, too large, an empty text."""


class InvalidModel(ValueError):
    """A file that is no model of this platform's, or a damaged one."""


class BrokenLimit(InvalidModel):
    """A model that needs more time or memory than a run may have, or that ends the process it runs in."""
