"""One machine, no service needed: what `make run` and every command use unless told otherwise."""

from core.home import prepare_home, secret_key
from core.observability.logs import configure_logging

from .base import *
from .base import ALLOWED_HOSTS, HOME, LOG_JSON, LOG_LEVEL, env

prepare_home(HOME)
configure_logging(level=LOG_LEVEL, as_json=LOG_JSON)

SECRET_KEY = env.str("SECRET_KEY", default="") or secret_key(HOME)
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = [*ALLOWED_HOSTS, "localhost", "127.0.0.1", "[::1]"]
WHITENOISE_USE_FINDERS = True
