"""The ASGI entry point."""

import os
import sys
from pathlib import Path

from django.core.asgi import get_asgi_application

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "platform")) if path not in sys.path]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

application = get_asgi_application()

from core.queue.app import require_configured_broker  # noqa: E402 - the settings have to be there

require_configured_broker()  # a server that would announce jobs to nobody must not come up
