"""Batches know the token that was asked.

Of those that are there it is known only where one person owns both the batch and the model. Others have no link in the
list for the day until they expire; the address of their page stays good.
"""

from django.db import migrations, models
from django.db.models import F, OuterRef, Subquery


def note_tokens(apps, schema_editor):
    """Note the model's token where its owner sees it anyway."""
    Batch, Model = apps.get_model("inference", "Batch"), apps.get_model("models_registry", "RegisteredModel")
    own = Batch.objects.filter(owner=F("model__owner"))
    token = Model.objects.filter(pk=OuterRef("model")).values("token")[:1]
    Batch.objects.filter(pk__in=own.values("pk")).update(token=Subquery(token))


class Migration(migrations.Migration):
    dependencies = [("inference", "0004_leased_work"), ("models_registry", "0011_every_model_has_a_project")]

    operations = [
        migrations.AddField(
            model_name="batch",
            name="token",
            field=models.CharField(
                blank=True,
                default="",
                editable=False,
                help_text="That was asked: the model's own, or its project's; empty: not known.",
                max_length=160,
            ),
            preserve_default=False,
        ),
        migrations.RunPython(note_tokens, migrations.RunPython.noop, elidable=True),
    ]
