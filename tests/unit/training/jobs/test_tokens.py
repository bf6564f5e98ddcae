import pytest
from factory.django import DjangoModelFactory

from core.exceptions import InvalidRequest
from tests.factories import RegisteredModelFactory, TrainingJobFactory
from training.jobs.tokens import require_free_token

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("token", ["", "a b", "../a", "ä", "a\n", "x" * 161])
def test_what_could_be_no_name_of_a_file_is_no_token(token: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 160 letters"):
        require_free_token(token)


@pytest.mark.parametrize("token", ["x", "Text_Classification-9", "y" * 160])
@pytest.mark.parametrize(
    ("factory", "what"), [(TrainingJobFactory, "job"), (RegisteredModelFactory, "model")]
)
def test_a_free_token_is_taken_once(token: str, factory: type[DjangoModelFactory], what: str) -> None:
    require_free_token(token)
    factory(token=token)
    with pytest.raises(InvalidRequest, match=f"a {what} with this token"):
        require_free_token(token)
