"""The cache, which counts requests: one for each process, or a Redis for all."""

from .environment import env

CACHE_URL = env.str("CACHE_URL", default="")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": CACHE_URL}
    if CACHE_URL
    else {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},  # counters of throttles, which must not be thrown out early
    }
}
if CACHE_URL:
    CACHES["default"] |= {
        "KEY_PREFIX": env.str("REDIS_KEY_PREFIX", default=""),
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    }
