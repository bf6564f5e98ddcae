import pytest
from django.test import Client


@pytest.mark.django_db
def test_health_answers_with_a_database() -> None:
    response = Client().get("/health/")
    assert response.status_code == 200
    assert response.json() == {"database": "ok"}
    assert "no-cache" in response["Cache-Control"]
