"""How a test that commits leaves the database: as it was, without making anew what no test changes.

Django truncates every table after such a test and then makes content types, permissions and groups anew. On PostgreSQL
that takes a second, of which the rows of a test are a hundredth.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase

# What `migrate` makes of the models, in each database.
MADE_BY_MIGRATE = ("django_content_type", "auth_permission", "auth_group", "auth_group_permissions")

Rows = dict[str, list[tuple[Any, ...]]]


@contextmanager
def rows_are_deleted() -> Iterator[None]:
    """Let tests that commit delete rows instead of truncating tables; a new database must be there.

    A test that changes what `migrate` has made is followed by Django's own flush.
    """
    made = {alias: _made_by_migrate(connections[alias]) for alias in connections}
    flush = TransactionTestCase._fixture_teardown

    def delete_rows(test: TransactionTestCase) -> None:
        found = [connections[alias] for alias in test._databases_names(include_mirrors=False)]
        if test.available_apps is not None or any(_made_by_migrate(one) != made[one.alias] for one in found):
            flush(test)
            made.update({one.alias: _made_by_migrate(one) for one in found})
            return
        for connection in found:
            tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
            names = [connection.ops.quote_name(name) for name in tables if name not in MADE_BY_MIGRATE]
            connection.ops.execute_sql_flush([f"DELETE FROM {name}" for name in names])

    with mock.patch.object(TransactionTestCase, "_fixture_teardown", delete_rows):
        yield


def _made_by_migrate(connection: BaseDatabaseWrapper) -> Rows:
    with connection.cursor() as cursor:
        found: Rows = {}
        for name in MADE_BY_MIGRATE:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(name)} ORDER BY id")
            found[name] = cursor.fetchall()
    return found
