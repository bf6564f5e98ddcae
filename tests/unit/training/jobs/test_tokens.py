import pytest

from tests.factories import RegisteredModelFactory, TrainingJobFactory
from training.jobs.tokens import why_not_token

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("token", ["", "a b", "../a", "ä", "a\n", "x" * 161])
def test_what_could_be_no_name_of_a_file_is_no_token(token: str) -> None:
    assert "1 to 160 letters" in why_not_token(token)


def test_a_token_is_used_once() -> None:
    assert "a job with this token" in why_not_token(TrainingJobFactory(token="taken-by-a-job").token)
    assert "a model with this token" in why_not_token(RegisteredModelFactory(token="taken-by-a-model").token)


@pytest.mark.parametrize("token", ["x", "Text_Classification-9", "x" * 160])
def test_a_free_token_of_the_right_shape_can_be_used(token: str) -> None:
    assert why_not_token(token) == ""
