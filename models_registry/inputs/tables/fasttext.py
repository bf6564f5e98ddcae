"""fastText's files: an example a line, its labels ahead of the text, each with a prefix."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import ClassVar

from .base import SAMPLE_ROWS, TOO_LONG, Row, TableFormat, row_of
from .delimited import TextFile

PREFIX = "__label__"
START = PREFIX.encode()


class FastTextReader(TextFile):
    """Lines such as `__label__spam Win a prize`; several labels of a line are a list, as in JSON."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    def columns(self) -> list[str]:
        """Return the names that such a table would have."""
        return ["text", "label"]

    def rows(self, *, text: str, label: str | None = None, also: Sequence[str] = ()) -> Iterator[Row]:
        """Yield the lines, each named by its number."""
        with self.lines() as lines:
            count = 0
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                count += 1
                self.check_count(count)
                if line.startswith(TOO_LONG):
                    yield Row(f"row {number}", "", problem=self.why_too_long)
                    continue
                values = _parted(line)
                fields = [values[name] for name in (text, label, *also) if name is not None]
                yield row_of(f"row {number}", fields, also=len(also))

    def sample(self) -> list[dict[str, str]]:
        """Return the first lines, by column."""
        with self.lines() as lines:
            return [_parted(line) for line in islice(lines, SAMPLE_ROWS)]

    def format(self) -> TableFormat:
        """Return the encoding."""
        return TableFormat(encoding=self.encoding.name)


def _parted(line: str) -> dict[str, str]:
    """Return a line's text and its label, without the prefix."""
    labels, rest = [], line.strip()
    while rest.startswith(PREFIX):
        first, *more = rest.split(maxsplit=1)
        labels.append(first.removeprefix(PREFIX))
        rest = "".join(more)
    label = json.dumps(labels, ensure_ascii=False) if len(labels) > 1 else "".join(labels)
    return {"text": rest, "label": label}
