"""The beginning of a text is found by an index, whatever the database."""

import pytest
from django.db import connection, transaction

from training.jobs.models import TrainingJob

pytestmark = pytest.mark.django_db


def test_prefix_index_serves_istartswith() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # an empty table is read faster than its index
        plan = TrainingJob.objects.filter(name__istartswith="owl_").order_by().values("pk").explain()
    assert "job_name_start" in plan
