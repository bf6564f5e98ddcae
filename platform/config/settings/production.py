"""Behind a proxy that speaks HTTPS. Refuses to start without a secret key and the hosts' names."""

from core.home import prepare_home
from core.observability.logs import configure_logging

from .base import *
from .base import HOME, LOG_LEVEL, STORAGES, env

prepare_home(HOME)
configure_logging(level=LOG_LEVEL, as_json=env.bool("LOG_JSON", default=True))

SECRET_KEY = env.str("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=365 * 24 * 3600)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
