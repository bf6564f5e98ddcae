"""An index for prefix searches on SQLite and PostgreSQL."""

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement, Table
from django.db.models.functions import Collate

POSTGRESQL = "CREATE INDEX %(name)s ON %(table)s (UPPER(%(column)s) text_pattern_ops)"


class PrefixIndex(models.Index):
    """Serves `istartswith` of one column: each database compares without regard to case in its own way."""

    def create_sql(
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor, using: str = "", **more: Any
    ) -> Any:
        """Return the statement in the database's own words."""
        (name,) = self.fields
        if schema_editor.connection.vendor != "postgresql":
            index = models.Index(Collate(name, "nocase"), name=self.name)
            return index.create_sql(model, schema_editor, using, **more)
        quote = schema_editor.quote_name
        field: Any = model._meta.get_field(name)
        return Statement(
            POSTGRESQL,
            name=quote(self.name),
            table=Table(model._meta.db_table, quote),
            column=quote(field.column),
        )
