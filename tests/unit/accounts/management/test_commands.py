import stat
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import User
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_first_administrator_can_sign_in(tmp_path: Path, settings: Any) -> None:
    settings.HOME = tmp_path
    said = run("ensure_admin")
    name, password = (tmp_path / "admin_password").read_text().split()
    assert password not in said
    assert str(tmp_path / "admin_password") in said
    assert stat.S_IMODE((tmp_path / "admin_password").stat().st_mode) == 0o600
    assert Client().login(username=name, password=password)


def test_second_run_changes_nothing(tmp_path: Path, settings: Any) -> None:
    settings.HOME = tmp_path
    run("ensure_admin")
    before = User.objects.get().password
    assert "exists" in run("ensure_admin")
    assert User.objects.get().password == before


def test_password_is_written_where_nobody_else_could_look(tmp_path: Path, settings: Any) -> None:
    settings.HOME = tmp_path
    left = tmp_path / "admin_password"
    left.write_text("of another platform")
    left.chmod(0o644)
    with left.open() as already_open:
        run("ensure_admin")
        assert already_open.read() == "of another platform"
    assert stat.S_IMODE(left.stat().st_mode) == 0o600


def test_password_that_was_changed_leaves_no_file(tmp_path: Path, settings: Any) -> None:
    settings.HOME = tmp_path
    run("ensure_admin")
    run("ensure_admin")
    assert (tmp_path / "admin_password").exists()
    admin = User.objects.get()
    admin.set_password("another one, not random")
    admin.save()
    assert "admin_password" not in run("ensure_admin")
    assert not (tmp_path / "admin_password").exists()


def test_name_that_somebody_has_taken_is_left_to_them(tmp_path: Path, settings: Any) -> None:
    settings.HOME = tmp_path
    UserFactory(username="admin")
    run("ensure_admin")
    name, password = (tmp_path / "admin_password").read_text().split()
    assert name != "admin"
    assert Client().login(username=name, password=password)
    assert not User.objects.get(username="admin").is_superuser


def test_api_token_acts_for_its_user() -> None:
    user = UserFactory()
    token = run("api_token", user.username).strip()
    headers = {"Authorization": f"Token {token}"}
    assert Client().get("/api/v1/jobs/", headers=headers).status_code == 200
    assert Client().get("/api/v1/jobs/", headers={"Authorization": "Token nonsense"}).status_code == 401


@pytest.mark.parametrize("arguments", [("nobody",), ("somebody", "--days", "0")])
def test_api_token_for_nobody_or_no_time_is_refused(arguments: tuple[str, ...]) -> None:
    UserFactory(username="somebody")
    with pytest.raises(CommandError):
        run("api_token", *arguments)
