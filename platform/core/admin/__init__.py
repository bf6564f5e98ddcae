"""What every admin page shares: the base class, confirmation of actions, allowed lookups, bounded lists."""

from . import base  # noqa: F401 - Django looks here for what is registered
