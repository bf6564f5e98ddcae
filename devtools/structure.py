"""Counts of the tree's shape: `python -m devtools.structure [FOLDER] [--json]`.

Prints the modules at the root of each package, the lines of the product, the functions of more than a screen, and how
often a type is not known. Migrations are left out: nobody edits them.
"""

import argparse
import ast
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

PRODUCT = ("platform", "models_registry", "training", "inference")
A_SCREEN = 30  # lines
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Structure:
    """What a checkout counts."""

    modules_at_root: dict[str, int]  # of each package, itself apart
    files: int
    lines: int
    long_functions: dict[str, int]  # path:name -> lines
    uses_of_any: int
    uses_of_dict_of_any: int


def measure(root: Path) -> Structure:
    """Read a checkout's Python files as text; nothing is imported or run."""
    sources = {path.relative_to(root): path.read_text() for path in product_files(root)}
    return Structure(
        modules_at_root=modules_at_root(list(sources)),
        files=len(sources),
        lines=sum(len(source.splitlines()) for source in sources.values()),
        long_functions={
            f"{path}:{name}": length
            for path, source in sources.items()
            for name, length in functions(source)
            if length > A_SCREEN
        },
        uses_of_any=sum(len(re.findall(r"\bAny\b", without_imports(source))) for source in sources.values()),
        uses_of_dict_of_any=sum(
            without_imports(source).count("dict[str, Any]") for source in sources.values()
        ),
    )


def product_files(root: Path) -> Iterator[Path]:
    """Yield the product's Python files in a stable order."""
    for folder in PRODUCT:
        yield from (path for path in sorted((root / folder).rglob("*.py")) if "migrations" not in path.parts)


def modules_at_root(paths: list[Path]) -> dict[str, int]:
    """Count the modules that lie in each package itself, not in a package of it."""
    found: dict[str, int] = {}
    for path in paths:
        package = path.parent.as_posix().removeprefix("platform/")
        if path.name != "__init__.py":
            found[package] = found.get(package, 0) + 1
    return found


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Yield each function's name and its lines, from `def` to its end, docstring and comments included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function) and node.end_lineno is not None:
            yield node.name, node.end_lineno - node.lineno + 1


def without_imports(source: str) -> str:
    """Return a source without its imports, whose `Any` is no use of it."""
    return re.sub(r"^(?:from|import) .*?(?:\(\n(?:.*\n)*?\)|$)", "", source, flags=re.MULTILINE)


def main() -> None:
    """Print what a checkout counts: this one, or the one named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.folder)
    if given.json:
        print(json.dumps(asdict(found), indent=2))
        return
    for package, count in sorted(found.modules_at_root.items(), key=lambda item: -item[1]):
        print(f"{count:4}  modules at the root of {package}")
    for place, lines in sorted(found.long_functions.items(), key=lambda item: -item[1]):
        print(f"{lines:4}  lines: {place}")
    print(
        f"{found.files} files, {found.lines} lines, {len(found.long_functions)} functions over {A_SCREEN} lines"
    )
    print(f"{found.uses_of_any} uses of Any, {found.uses_of_dict_of_any} of dict[str, Any]")


if __name__ == "__main__":
    main()
