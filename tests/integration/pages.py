"""The pages without a browser: forms are read, filled in and sent as a browser without scripts does it."""

from html.parser import HTMLParser
from types import TracebackType
from typing import Any, Self

import requests

PATIENCE = 60  # seconds for an answer
Fields = dict[str, str]


class Visitor:
    """Somebody who is signed in, as a context manager."""

    def __init__(self, base_url: str, name: str, password: str) -> None:
        self.base_url = base_url
        self.session = requests.Session()
        self.send("/accounts/login/", "login", login=name, password=password)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()

    def read(self, path: str) -> str:
        """Return a page."""
        answer = self.session.get(f"{self.base_url}{path}", timeout=PATIENCE)
        assert answer.ok, answer.text
        return answer.text

    def send(
        self, path: str, field: str, *, files: dict[str, Any] | None = None, **values: str
    ) -> requests.Response:
        """Fill in the form of a page that has this field, and send it; returns the page that follows."""
        address = f"{self.base_url}{path}"
        form = next(form for form in forms_in(self.read(path)) if field in form.fields)
        answer = self.session.post(
            requests.compat.urljoin(address, form.action),
            data={**form.fields, **values},
            files=files,
            headers={"Referer": address},
            timeout=PATIENCE,
        )
        assert answer.ok, answer.text
        return answer


class Form:
    """A form with what a browser would send of it untouched."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.fields: Fields = {}


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._select = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "form":
            self.found.append(Form(given.get("action") or ""))
        elif not self.found:
            return
        elif tag == "input" and name and given.get("type") != "submit":
            if given.get("type") in ("checkbox", "radio"):
                if "checked" in given:
                    self.found[-1].fields[name] = value or "on"
            else:
                self.found[-1].fields[name] = "" if given.get("type") == "file" else value
        elif tag == "select":
            self._select = name
        elif tag == "option" and ("selected" in given or self._select not in self.found[-1].fields):
            self.found[-1].fields[self._select] = value


def forms_in(page: str) -> list[Form]:
    """Return the forms of a page."""
    parser = _Forms()
    parser.feed(page)
    return parser.found
