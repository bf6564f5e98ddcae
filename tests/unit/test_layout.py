"""The layout that everything else rests on."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_platform_is_a_plain_folder() -> None:
    assert (ROOT / "platform").is_dir()
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_standard_platform_module_stays_visible() -> None:
    code = "import sys; sys.path[:0] = ['platform', '.']; import platform; print(platform.system())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip()


def test_web_process_imports_no_training_library(tmp_path: Path) -> None:
    code = """
import sys
sys.path[:0] = ['.', 'platform']
from config.wsgi import application
from django.test import Client
from django.urls import get_resolver
get_resolver().url_patterns
assert Client().get('/', headers={'host': 'localhost'}).status_code == 200
print(sorted({'torch', 'torchvision', 'timm', 'transformers', 'sklearn', 'matplotlib'} & set(sys.modules)))
"""
    env = {"TRAINYARD_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings.local", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr
