"""Flash's clients: what strangers may do, and whose pages may call."""

from corsheaders.defaults import default_headers

from .environment import env

# Whether strangers may train: Flash knows no accounts.
FLASH_ALLOW_TRAINING = env.bool("FLASH_ALLOW_TRAINING", default=False)
# From which sites a browser may call /flash/, as https://host; "*" for all.
FLASH_ORIGINS: list[str] = env.list("FLASH_ORIGINS", default=["*"])
CORS_URLS_REGEX = r"^/flash/"
CORS_ALLOW_ALL_ORIGINS = "*" in FLASH_ORIGINS
CORS_ALLOWED_ORIGINS = [origin for origin in FLASH_ORIGINS if origin != "*"]
CORS_ALLOW_METHODS = ["GET", "HEAD", "OPTIONS", "POST"]
# For pages that fetch a model's file in parts, and go on where they were cut off.
CORS_ALLOW_HEADERS = [*default_headers, "if-none-match", "if-range", "range"]
CORS_EXPOSE_HEADERS = [
    "accept-ranges",
    "content-disposition",
    "content-length",
    "content-range",
    "etag",
    "retry-after",
    "x-request-id",
]
