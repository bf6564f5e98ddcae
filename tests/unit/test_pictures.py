"""Every page has its pictures, and every picture its page."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from django.contrib import admin
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import User
from docs.pages import ADMIN, ERRORS, MODES, NOT_PAGES, PAGES, all_pictures, file_name

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "screenshots"
TEMPLATES = ROOT / "platform" / "templates"
REGISTERED = {model._meta.label_lower: model for model in admin.site._registry}


def named(resolver: URLResolver, space: str = "") -> Iterator[str]:
    """Yield the name of every address that has one."""
    for one in resolver.url_patterns:
        if isinstance(one, URLPattern):
            if one.name:
                yield f"{space}{one.name}"
        else:
            yield from named(one, f"{space}{one.namespace}:" if one.namespace else space)


def address(label: str, kind: str) -> str:
    return f"admin:{label.replace('.', '_')}_{kind}"


def of_rows() -> set[str]:
    """Return the addresses that the admin has for each of its models, whether they lead anywhere or not."""
    kinds = ("changelist", "change", "add")
    return {address(label, kind) for label in REGISTERED for kind in kinds}


def of_new_rows() -> set[str]:
    """Return the addresses at which the highest of administrators may add a row."""
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_staff=True, is_active=True)
    found = {label: admin.site._registry[model] for label, model in REGISTERED.items()}
    return {address(label, "add") for label, one in found.items() if one.has_add_permission(request)}


def of_questions() -> set[str]:
    """Return the addresses that ask whether to do something to a row: each looks like the next."""
    found = set()
    for label, model in REGISTERED.items():
        for one in admin.site._registry[model].actions_detail:
            names = one["items"] if isinstance(one, dict) else [one]
            found |= {address(label, name) for name in names}
    return found


NAMES = (set(named(get_resolver())) - of_rows() - of_questions()) | of_new_rows()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_address_is_shown_or_no_page(name: str) -> None:
    is_shown, is_none = (any(fnmatchcase(name, one) for one in listed) for listed in (PAGES, NOT_PAGES))
    assert is_shown != is_none or name in PAGES, (
        "name it in docs/pages.py, and take it in docs/screenshots.py"
    )


def test_no_address_is_listed_that_is_gone() -> None:
    listed = (*PAGES, *NOT_PAGES)
    assert [pattern for pattern in listed if not any(fnmatchcase(name, pattern) for name in NAMES)] == []


def test_every_model_of_the_admin_is_shown() -> None:
    assert sorted(ADMIN) == sorted(REGISTERED)


def test_every_error_page_is_shown() -> None:
    assert sorted(ERRORS) == sorted(path.name for path in TEMPLATES.glob("[45]??*.html"))


def test_every_picture_was_taken_and_none_is_left_over() -> None:
    wanted = {file_name(picture, mode) for picture in all_pictures() for mode in MODES}
    assert len(all_pictures()) == len(set(all_pictures()))
    assert {path.name for path in FOLDER.iterdir()} == wanted
