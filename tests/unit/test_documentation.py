"""What the documents name exists: files, tests, modules, functions, and the tree of docs/architecture.md."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "samples" / "README.md"]
HISTORY = {"CHANGELOG.md"}
CODE = (
    *("accounts", "bucket", "config", "control", "core", "documents", "work"),
    *(
        "models_registry",
        "training",
        "inference",
        "devtools",
        "benchmarks",
        "tests",
        "samples",
        "docs",
        "platform",
    ),
)
ROOMS = "|".join(CODE)
A_FILE = re.compile(rf"(?<![\w./<-])((?:{ROOMS})/[\w./-]*(?:\.(?:py|md|html|toml|sh)\b|/)(?!\w))(?:::(\w+))?")
A_NAME = re.compile(rf"`((?:{ROOMS})\.[\w.]+?)(?:\(.*?\))?`")


def at(path: str) -> Path | None:
    """Return where a path that a document names is: below the root, or below platform/."""
    found = [root / path for root in (ROOT, ROOT / "platform") if (root / path).exists()]
    return found[0] if found else None


def defines(path: Path, name: str) -> bool:
    """Whether a module defines, imports or assigns a name at its top level, or a class of it does."""
    said = rf"(?:def|class) {name}\b|{name}\b\s*[:=]|(?:from|import) .*\b{name}\b"
    return bool(re.search(rf"^\s*(?:{said})", path.read_text(), re.MULTILINE))


def resolves(dotted: str) -> bool:
    """Whether `package.module.name` leads to a module, and the rest of it to what that defines."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        base = "/".join(parts[:length])
        found = at(f"{base}.py") or at(f"{base}/__init__.py")
        if found:
            return all(defines(found, name) for name in parts[length:])
    return False


def test_documents_name_files_that_exist() -> None:
    lost = []
    for document in DOCUMENTS:
        if document.name in HISTORY:
            continue
        for path, test in A_FILE.findall(document.read_text()):
            found = at(path) or (document.parent / path if (document.parent / path).exists() else None)
            if found is None or (test and not defines(found, test)):
                lost.append(f"{document.relative_to(ROOT)}: {path} {test}".strip())
    assert lost == []


def test_documents_name_modules_and_functions_that_exist() -> None:
    lost = [
        f"{document.relative_to(ROOT)}: {dotted}"
        for document in DOCUMENTS
        if document.name not in HISTORY
        for dotted in A_NAME.findall(document.read_text())
        if not resolves(dotted) and not dotted.endswith((".json", ".md"))
    ]
    assert lost == []


def test_tree_of_the_architecture_is_the_tree() -> None:
    tree = (ROOT / "docs" / "architecture.md").read_text().split("```")[1]
    lost, folders = [], []
    for line in tree.strip().splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        folders = [*folders[:depth], name]
        if not (ROOT / "".join(folders)).exists():
            lost.append("".join(folders))
    assert lost == []
    assert {f"{path.name}/" for path in ROOT.iterdir() if (path / "__init__.py").exists()} <= set(
        tree.split()
    )


# Every environment variable is documented ---------------------------------------------------------

READ = re.compile(r"\benv(?:\.\w+)?\(\s*\"([A-Z][A-Z0-9_]+)\"|environ(?:\.get)?[(\[]\"([A-Z][A-Z0-9_]+)\"")
# What torchrun, the system or a library gives to a process; and what one process of ours gives to another.
NOT_FOR_OPERATORS = {
    *(
        "DJANGO_SETTINGS_MODULE",
        "FAULT",
        "LOCAL_RANK",
        "RANK",
        "NOTIFY_SOCKET",
        "PATH",
        "PROMETHEUS_MULTIPROC_DIR",
    ),
    *("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "AWS_DEFAULT_REGION", "PYTHONPATH"),
}


def variables_read() -> set[str]:
    """Return the environment variables that the product reads."""
    files = [
        path
        for room in ("platform", "models_registry", "training", "inference")
        for path in (ROOT / room).rglob("*.py")
    ]
    return {name for path in files for pair in READ.findall(path.read_text()) for name in pair if name}


def test_every_variable_that_is_read_is_documented() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    assert sorted(name for name in variables_read() - NOT_FOR_OPERATORS if f"`{name}`" not in text) == []


def test_every_variable_that_is_documented_is_read() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    table = text[text.index("| variable |") :].split("\n\n")[0]
    named = {
        name
        for row in table.splitlines()[2:]
        for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", row.split("|")[1])
    }
    assert len(named) > 50
    assert sorted(named - variables_read()) == []
