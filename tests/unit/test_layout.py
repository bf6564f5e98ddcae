"""The layout that everything else rests on."""

import ast
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


# Tests stand beside what they test ----------------------------------------------------------------

# What these hold concerns many modules at once.
ACROSS_MODULES = {
    "test_admin_roles",
    "test_api_access",
    "test_contributing",
    "test_documentation",
    "test_hostile_requests",
    "test_layout",
    "test_pictures",
    "test_requirements",
    "test_upgrade",
}


def names_module(folder: Path, name: str) -> bool:
    """Whether `test_<name>.py` is called after a module or package of the folder, with or without `_<aspect>`."""
    parts = name.split("_")
    candidates = ["_".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return any(
        (folder / f"{it}.py").is_file() or (folder / it / "__init__.py").is_file() for it in candidates
    )


def test_unit_tests_are_at_the_path_of_their_module() -> None:
    here = ROOT / "tests" / "unit"
    misplaced = []
    for path in here.rglob("test_*.py"):
        folder, name = path.parent.relative_to(here), path.stem.removeprefix("test_")
        if folder == Path() and path.stem in ACROSS_MODULES:
            continue
        if not any(names_module(root / folder, name) for root in (ROOT, ROOT / "platform")):
            misplaced.append(str(path.relative_to(ROOT)))
    assert misplaced == []


# Every test can fail ------------------------------------------------------------------------------


def asserts(
    function: ast.FunctionDef, local: dict[str, ast.FunctionDef], seen: frozenset[str] = frozenset()
) -> bool:
    """Whether a function, or a function of its file that it calls, states what must hold."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in {"raises", "fail", "warns", "expect"} or called.startswith("assert"):
            return True
        if called in local.keys() - seen and asserts(local[called], local, seen | {called}):
            return True
    return False


def test_every_test_states_what_must_hold() -> None:
    idle = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        functions = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)
        ]
        local = {function.name: function for function in functions}
        idle += [
            f"{path.relative_to(ROOT)}: {function.name}"
            for function in functions
            if function.name.startswith("test_") and not asserts(function, local)
        ]
    assert idle == []
