"""Requests that nobody sends in good faith, made up from a seed: every address with hostile values everywhere."""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from core.http.schema import OneAtATime

METHODS = (
    "GET",
    "GET",
    "GET",
    "POST",
    "POST",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "BREW",
)
LONG, DIGITS = "a" * 3000, "9" * 4400
# As they stand in an address.
IN_PATH = (
    *(
        "0",
        "-1",
        "1",
        "2",
        "9" * 30,
        "9" * 400,
        "1e9",
        "%EF%BC%91",
        "NaN",
        "x",
        "a" * 300,
        "%00",
        "a%00b",
        "%0A",
        "%0d%0a",
    ),
    *(
        "%ED%A0%80",
        "%FF%FE",
        "%F0%9F%90%9F",
        "%E2%80%AE",
        "%252e",
        "..",
        "%2e%2e%2f",
        "%2F",
        "%5C",
        "%",
        "%zz",
        "%27--",
    ),
    *(
        "(",
        "[",
        "*",
        "$",
        "{{7}}",
        "%3Cscript%3E",
        "add",
        "delete",
        ";",
        "~",
        "a;b=c",
        "imageClassification-x-0",
    ),
)
NAMES = (
    *(
        "q",
        "page",
        "cursor",
        "dataset",
        "from",
        "format",
        "ordering",
        "limit",
        "offset",
        "state",
        "whose",
        "explain",
    ),
    *(
        "name",
        "task_type",
        "created_since",
        "queued_since",
        "live_since",
        "expires_before",
        "sha256",
        "token",
        "search",
    ),
    *("o", "p", "e", "all", "_popup", "_to_field", "_changelist_filters", "next", "used", "created_at__year"),
    *(
        "created_at__gte",
        "token__regex",
        "owner__password__startswith",
        "id__exact",
        "dataset__id__exact",
        "pk",
        "id",
    ),
    *(
        "days",
        "hours",
        "column",
        "texts",
        "file",
        "input",
        "data_split",
        "epochs",
        "learning_rate",
        "batch_size",
    ),
    *(
        "username",
        "password",
        "login",
        "email",
        "action",
        "_selected_action",
        "confirmed",
        "priority",
        "expires_at",
    ),
    *(
        "downloadable",
        "architecture",
        "strategy",
        "seed",
        "advanced",
        "sample",
        "taskName",
        "taskType",
        "modelType",
    ),
    *(
        "created_at__range__gte_0",
        "created_at_from_0",
        "lang",
        "object_id",
        "app_label",
        "model_name",
        "field_name",
        "term",
    ),
)
TEXTS = (
    *(
        "",
        "0",
        "-1",
        "1",
        "9" * 30,
        DIGITS,
        "1e999",
        "-1e999",
        "NaN",
        "Infinity",
        "1.5",
        "１２",
        "0x10",
        "true",
        "null",
    ),
    *(
        "a\x00b",
        "\x00",
        "\ud800",
        "é" * 200,
        LONG,
        "(",
        "[",
        "(a+)+$",
        "%",
        "_",
        "'",
        '"',
        "\\",
        "{{7*7}}",
        "${x}",
    ),
    *(
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-23:59",
        "0000-00-00",
        "0001-01-01T00:00:00+23:59",
        "2020-02-30",
    ),
    *(
        "cD05OTk5LTEyLTMx",
        "cD0wMDAx",
        "bz0xJnA9",
        "cj0xJnA9OTk5OQ==",
        "-created_at",
        "__proto__",
        "javascript:alert(1)",
    ),
    *(
        "//evil.example",
        "\r\nSet-Cookie: a=b",
        "live",
        "onnx",
        "pytorch",
        "everyone",
        "70 : 30",
        "🐟",
        "\u202e",
        "\t",
        "ı",
    ),
)
JSON_VALUES: tuple[Any, ...] = (
    *TEXTS,
    *(
        None,
        True,
        0,
        -1,
        1.5,
        10**30,
        10**400,
        [],
        {},
        [[]],
        [None],
        ["a"] * 100,
        {"a": {"b": []}},
        [1, "a", None],
    ),
)
HEADERS = (
    *(
        "Accept",
        "Accept-Language",
        "Accept-Encoding",
        "Authorization",
        "Range",
        "If-Range",
        "If-None-Match",
        "Origin",
    ),
    *(
        "If-Modified-Since",
        "Referer",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Request-ID",
    ),
    *(
        "HX-Request",
        "HX-Current-URL",
        "HX-Target",
        "Cookie",
        "X-CSRFToken",
        "Content-Encoding",
        "X-HTTP-Method-Override",
    ),
    *(
        "Access-Control-Request-Method",
        "Access-Control-Request-Headers",
        "Forwarded",
        "Via",
        "Connection",
        "Host",
    ),
)
HEADER_VALUES = (
    *(
        "",
        "*/*",
        "text/html",
        "application/json;q=9e999",
        "a/b;version=" + "9" * 400,
        ",,,",
        ";" * 200,
        "é",
        "\xff\xfe",
    ),
    *(
        "bytes=0-0",
        f"bytes={'9' * 5000}-",
        f"bytes=-{'9' * 5000}",
        "bytes=5-1",
        "bytes=a-b",
        "bytes=0-1,2-3",
        "items=1",
    ),
    *(
        "Token x",
        "Token \xe9",
        "Basic",
        "Basic !!!",
        "Basic YQ==",
        "Basic YQBiOmM=",
        "Bearer " + "b" * 2000,
        "Token a b",
    ),
    *(
        "::1",
        "1.2.3.4, 5.6.7.8",
        "[::",
        "999.9.9.9",
        "localhost:99999",
        "evil.example",
        "null",
        "https://evil.example",
    ),
    *(
        "sessionid=x",
        'sessionid="\\x00"',
        "csrftoken=%00",
        "a=" + "b" * 3000,
        "=;=;=",
        "messages=W1tdXQ:x:y",
        '"abc',
        "W/",
    ),
    *(
        "zz-" * 300,
        "de-DE-1996;q=0.5",
        "identity",
        "gzip, br;q=x",
        "Thu, 01 Jan 99999 00:00:00 GMT",
        "true",
        "close",
    ),
)
KINDS = (
    *(
        "application/json",
        "application/json; charset=utf-7",
        "application/json; charset=\xff",
        "text/plain",
        "*/*",
        "",
    ),
    *(
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=nothing",
        "multipart/form-data",
    ),
    *(
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=x",
        "multipart/form-data; boundary=x" * 50,
    ),
    *(
        'multipart/form-data; boundary="\xe9"',
        "multipart/mixed; boundary=x",
        "application/octet-stream",
        "a" * 1000,
    ),
)
FILE_NAMES = (
    b"a.png",
    b"a.csv",
    b"a.zip",
    b"a.parquet",
    b"a.jsonl",
    b"../../a.csv",
    b"a\x00.csv",
    b"\xff.tsv",
    b"a" * 400,
    b"",
)
FILES = (
    *(
        b"",
        b"\x00",
        b"PK\x03\x04" + bytes(50),
        b"PK\x05\x06" + bytes(18),
        b"PAR1" + bytes(20) + b"PAR1",
        b"\x89PNG\r\n\x1a\n",
    ),
    *(
        b"\xff\xd8\xff\xe0" + bytes(30),
        b"input,label\na,b\n",
        b"a\n" * 500,
        b'{"a": 1}\n[',
        b"\xef\xbb\xbfinput,label\n",
        b"GIF89a",
    ),
    *(
        b"text\n\xed\xa0\x80\n",
        b"\x1f\x8b\x08\x00",
        b"<svg/>",
        b"II*\x00" + bytes(40),
        b'"' * 2000,
        b"1," * 5000,
    ),
)
# Addresses that are not posted to: one would leave the others without a session, one halts the platform as it should.
SPARED = ("/logout", "/halt")
PARAMETER = re.compile(r"<(?:\w+:)?\w+>|\(\?P<\w+>[^()]*(?:\([^()]*\)[^()]*)*\)")


@dataclass(frozen=True)
class Somebody:
    """Whose requests they are, and what exists for them."""

    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class HostileRequest:
    """One request as bytes; a client that breaks off does so after all of it."""

    content: bytes
    breaks_off: bool
    method: str


def addresses() -> list[str]:
    """Return every address of the project with `<>` where it has a parameter."""
    return sorted({"/" + one for one in _addresses(get_resolver(), "")})


def _addresses(resolver: URLResolver, start: str) -> Iterator[str]:
    for entry in resolver.url_patterns:
        text = start + PARAMETER.sub("<>", str(entry.pattern)).lstrip("^").removesuffix("$").removesuffix(
            "\\Z"
        )
        if isinstance(entry, URLPattern):
            yield text.replace("\\", "").replace("/?", "/").replace("(<>)", "<>")
        else:
            yield from _addresses(entry, text)


@cache
def names_taken() -> dict[str, list[str]]:
    """Return the names that REST calls take, in the address or the body, by their address: others are refused."""
    found = OneAtATime().get_schema(public=True)
    parts = found["components"]["schemas"]
    taken: dict[str, list[str]] = {}
    for path, calls in found["paths"].items():
        names = taken.setdefault(re.sub(r"\{\w+\}", "<>", path), [])
        for call in calls.values():
            names += [one["name"] for one in call.get("parameters", []) if one["in"] == "query"]
            for content in call.get("requestBody", {}).get("content", {}).values():
                names += parts[content["schema"]["$ref"].rpartition("/")[2]]["properties"]
    return {path: sorted(set(names)) for path, names in taken.items() if names}


class Fuzzer:
    """Makes requests up from a seed; the same seed makes the same requests."""

    def __init__(
        self, seed: int, paths: list[str], people: list[Somebody], known: dict[str, list[str]]
    ) -> None:
        """`known` are identifiers of what there is, by the word that stands before them in addresses."""
        self._random = random.Random(seed)
        self._paths, self._people, self._of = paths, people, known
        self._names: Sequence[str] = NAMES  # for the request that is made up
        self._known = [identifier for some in known.values() for identifier in some]

    def requests(self, count: int) -> Iterator[HostileRequest]:
        """Yield so many requests."""
        for _ in range(count):
            yield self._request()

    def _request(self) -> HostileRequest:
        chance, choice = self._random.random, self._random.choice
        pattern = choice(self._paths)
        somebody, method = choice(self._people), choice(METHODS)
        if method == "POST" and pattern.rstrip("/").endswith(SPARED):
            method = "GET"
        path = self._path(pattern)
        self._names = names_taken().get(pattern, NAMES) if chance() < 0.7 else NAMES
        if chance() < 0.5:
            path += "?" + self._query()
        headers = dict(somebody.headers)
        kind, body = self._body() if method not in ("GET", "HEAD") or chance() < 0.1 else ("", b"")
        if kind:
            headers["Content-Type"] = kind
        for _ in range(self._random.choice((0, 0, 1, 2, 5))):
            headers[choice(HEADERS)] = choice(HEADER_VALUES)
        breaks_off = chance() < 0.03 and len(body) > 1
        if body or method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(len(body))
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in headers.items()
        )
        content = (head + "\r\n").encode("latin-1", "replace") + (
            body[: len(body) // 2] if breaks_off else body
        )
        return HostileRequest(content, breaks_off, method)

    def _path(self, pattern: str) -> str:
        parts = pattern.split("<>")
        path = parts[0]
        for before, part in pairwise(parts):
            fitting = self._of.get(before.rstrip("/").rpartition("/")[2], self._known)
            value = self._random.choice(fitting if self._random.random() < 0.5 else IN_PATH)
            path += value + part
        if self._random.random() < 0.03:
            path += self._random.choice(IN_PATH)
        return path

    def _query(self) -> str:
        pairs = []
        for _ in range(self._random.choice((1, 1, 2, 4))):
            value = self._random.choice((*TEXTS, *self._known))
            pairs.append(f"{self._random.choice(self._names)}={_quoted(value)}")
        return "&".join(pairs)[:3500]

    def _body(self) -> tuple[str, bytes]:
        makers = (
            self._json,
            self._json,
            self._form,
            self._multipart,
            self._multipart,
            self._flash,
            self._garbage,
        )
        kind, body = self._random.choice(makers)()
        if self._random.random() < 0.1:
            kind = self._random.choice(KINDS)
        if self._random.random() < 0.1 and body:
            body = body[: self._random.randrange(len(body))]
        return kind, body

    def _fields(self) -> dict[str, Any]:
        count = min(len(self._names), self._random.choice((1, 3, 8, 20)))
        names = self._random.sample(self._names, count)
        return {name: self._random.choice((*JSON_VALUES, *self._known)) for name in names}

    def _json(self) -> tuple[str, bytes]:
        if self._random.random() < 0.15:
            depth = self._random.choice((5, 500, 50_000))
            return "application/json", b"[" * depth + b"]" * depth
        value: Any = self._fields() if self._random.random() < 0.8 else self._random.choice(JSON_VALUES)
        return "application/json", json.dumps(value, ensure_ascii=self._random.random() < 0.5).encode(
            errors="surrogatepass"
        )

    def _form(self) -> tuple[str, bytes]:
        pairs = (f"{name}={_quoted(str(value))}" for name, value in self._fields().items())
        return "application/x-www-form-urlencoded", "&".join(pairs).encode()

    def _multipart(self) -> tuple[str, bytes]:
        parts = [
            b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
            % (name.encode(), str(value).encode(errors="surrogatepass"))
            for name, value in self._fields().items()
        ]
        for _ in range(self._random.choice((0, 1, 1, 3))):
            name = self._random.choice(FILE_NAMES)
            head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n' % name
            parts.append(
                head + self._random.choice((b"", b"Content-Transfer-Encoding: base64\r\n", b"X\r\n"))
            )
            parts.append(b"\r\n" + self._random.choice(FILES) + b"\r\n")
        self._random.shuffle(parts)
        return "multipart/form-data; boundary=x", b"".join(parts) + self._random.choice(
            (b"--x--\r\n", b"--x", b"")
        )

    def _flash(self) -> tuple[str, bytes]:
        _, text = self._json()
        return (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="json"\r\n\r\n' + text + b"\r\n--x--",
        )

    def _garbage(self) -> tuple[str, bytes]:
        return self._random.choice(KINDS), self._random.randbytes(self._random.choice((0, 1, 100, 5000)))


def _quoted(text: str) -> str:
    """Return a text as part of a query or a form; NUL and lone surrogates stay what they are."""
    return "".join(
        f"%{byte:02X}" if byte > 126 or byte < 48 else chr(byte)
        for byte in text.encode(errors="surrogatepass")
    )
