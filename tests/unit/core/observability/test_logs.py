import io
import logging

import pytest
import structlog
from django.test import Client

from core.observability.logs import hide_tokens
from models_registry.tokens import new_token


@pytest.mark.parametrize("name", ["Flowers", "a b-c", "ÄÖ", "x" * 80])
@pytest.mark.parametrize("task_type", ["imageclassification", "textclassification"])
def test_tokens_lose_their_secret_end(task_type: str, name: str) -> None:
    token = new_token(task_type, name)
    event = hide_tokens(None, "info", {"event": f"GET /models/{token}/ failed", "job": 3})
    assert token[-32:] not in str(event)
    assert event["event"].startswith(f"GET /models/{token[:-33]}-…/")
    assert event["job"] == 3


@pytest.mark.parametrize("path", ["/accounts/password/reset/key/", "/accounts/confirm-email/"])
def test_links_of_mails_lose_what_makes_them_work(path: str) -> None:
    event = hide_tokens(None, "info", {"event": f"GET {path}1-c9x0-0123456789abcdef/ failed"})
    assert event["event"] == f"GET {path}…/ failed"


@pytest.mark.django_db
def test_addresses_with_tokens_are_logged_without_them() -> None:
    token = new_token("imageclassification", "Flowers")
    formatters = (handler.formatter for handler in logging.getLogger().handlers)
    sink = io.StringIO()
    copy = logging.StreamHandler(sink)
    copy.setFormatter(
        next(found for found in formatters if isinstance(found, structlog.stdlib.ProcessorFormatter))
    )
    logging.getLogger().addHandler(copy)
    try:
        assert Client().get(f"/models/{token}/").status_code == 404
    finally:
        logging.getLogger().removeHandler(copy)
    assert "Not Found: /models/imageClassification-flowers-…/" in sink.getvalue()
