"""Log events, not sentences: from which level, and in which form."""

from .environment import env

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOG_JSON = env.bool("LOG_JSON", default=False)
