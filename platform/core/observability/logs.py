"""Structured logging: an event's name and its fields, as coloured lines or as JSON."""

import logging
import logging.config
import re

import structlog

# A model's token is the right to use it; addresses, which frameworks log, contain it.
TOKEN = re.compile(r"((?:image|text)Classification-[\w-]*?)-[0-9a-f]{32}")
# So are the links that mails carry: they set a password or confirm an address.
KEY_OF_A_MAIL = re.compile(r"(/accounts/(?:password/reset/key|confirm-email)/)[^/\s'\"]+")


def hide_tokens(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Mask every token and every link of a mail in an event's fields."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = KEY_OF_A_MAIL.sub(r"\1…", TOKEN.sub(r"\1-…", value))
    return event


# Processors of every record, of structlog and of the standard library.
SHARED: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]
LIBRARIES = ("botocore", "boto3", "celery", "django_structlog")  # heard from WARNING on


def configure_logging(*, level: str, as_json: bool) -> None:
    """Send the standard library's and structlog's records through one formatter to stderr."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"structured": _formatter(as_json=as_json)},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {name: {"level": "WARNING"} for name in LIBRARIES},
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _formatter(*, as_json: bool) -> dict[str, object]:
    """Return a formatter that hides tokens, as `dictConfig` reads it."""
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    return {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            hide_tokens,
            renderer,
        ],
        "foreign_pre_chain": SHARED,
    }
