"""The test suite: a home of its own that is thrown away, fast password hashes, no waiting."""

import atexit
import os
import shutil
import tempfile
from datetime import timedelta

# Read before the base settings, so that nothing of a test run lands in somebody's real home.
_home = tempfile.mkdtemp(prefix="trainyard-test-")
os.environ["TRAINYARD_HOME"] = _home
atexit.register(shutil.rmtree, _home, ignore_errors=True)

from core.home import prepare_home  # noqa: E402
from core.observability.logs import configure_logging  # noqa: E402

from .base import *  # noqa: E402
from .base import DATABASES, HOME, REST_FRAMEWORK, TRAINYARD  # noqa: E402

prepare_home(HOME)
configure_logging(level="WARNING", as_json=False)

SECRET_KEY = "only-for-tests-" + "x" * 50
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
TRAINYARD = {
    **TRAINYARD,
    "USAGE_EVERY": timedelta(0),  # no thread of its own looks at a test's database
    "VALIDATE_IN_WEB_FOR": timedelta(minutes=5),  # a busy machine makes no data large
}
CELERY_BROKER_URL, CELERY_BROKER_TRANSPORT = "memory://", None
CELERY_BROKER_TRANSPORT_OPTIONS = {}
REST_FRAMEWORK = {  # tests that count switch limits on
    **REST_FRAMEWORK,
    "DEFAULT_THROTTLE_RATES": dict.fromkeys(REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]),
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True

if "sqlite3" in str(DATABASES["default"]["ENGINE"]):
    # A file, as in real life: the in-memory database locks tables where a file waits its turn.
    DATABASES["default"]["TEST"] = {"NAME": str(HOME / "test.sqlite3")}
