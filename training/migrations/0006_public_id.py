import uuid

from django.db import migrations, models

AT_ONCE = 1000


def give_each_its_models(apps, schema_editor):
    """A job that succeeded has its model's; the others get one for the model that they may become."""
    jobs = apps.get_model("training", "TrainingJob").objects
    rows = list(jobs.select_related("registered_model").only("pk", "registered_model__public_id"))
    for row in rows:
        row.public_id = row.registered_model.public_id if row.registered_model else uuid.uuid4()
    jobs.bulk_update(rows, ["public_id"], batch_size=AT_ONCE)


class Migration(migrations.Migration):

    dependencies = [
        ("models_registry", "0006_public_id"),
        ("training", "0005_large_data_sets"),
    ]

    operations = [
        migrations.AddField("trainingjob", "public_id", models.UUIDField(editable=False, null=True)),
        migrations.RunPython(give_each_its_models, migrations.RunPython.noop, elidable=True),
        migrations.AlterField(
            "trainingjob",
            "public_id",
            models.UUIDField(
                default=uuid.uuid4,
                editable=False,
                help_text="The model's; its files are named by it.",
                unique=True,
            ),
        ),
    ]
