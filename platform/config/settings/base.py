"""What every way of running Trainyard shares: a module for each concern.

Each value can be set by an environment variable; docs/operations.md lists them. Without any the platform stands
on its own: SQLite, a folder as bucket and a folder as broker, all below `TRAINYARD_HOME`. A variable swaps one
part for its production counterpart.
"""

from .accounts import *
from .admin import *
from .application import *
from .bucket import *
from .cache import *
from .database import *
from .environment import *
from .flash import *
from .limits import *
from .logging import *
from .pages import *
from .queue import *
from .rest import *
from .security import *
