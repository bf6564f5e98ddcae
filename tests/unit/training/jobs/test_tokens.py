import pytest

from core.exceptions import InvalidRequest
from tests.factories import RegisteredModelFactory, TrainingJobFactory
from training.jobs.tokens import require_free_token

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("token", ["", "a b", "../a", "ä", "a\n", "x" * 161])
def test_what_could_be_no_name_of_a_file_is_no_token(token: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 160 letters"):
        require_free_token(token)


def test_a_token_is_used_once() -> None:
    job, model = TrainingJobFactory(token="taken-by-a-job"), RegisteredModelFactory(token="taken-by-a-model")
    for token, what in ((job.token, "job"), (model.token, "model")):
        with pytest.raises(InvalidRequest, match=f"a {what} with this token"):
            require_free_token(token)


@pytest.mark.parametrize("token", ["x", "Text_Classification-9", "x" * 160])
def test_a_free_token_of_the_right_shape_can_be_used(token: str) -> None:
    require_free_token(token)
