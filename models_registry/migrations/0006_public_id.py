import uuid

from django.db import migrations, models

AT_ONCE = 1000


def give_each_its_own(apps, schema_editor):
    model = apps.get_model("models_registry", "RegisteredModel")
    rows = list(model.objects.only("pk"))
    for row in rows:
        row.public_id = uuid.uuid4()
    model.objects.bulk_update(rows, ["public_id"], batch_size=AT_ONCE)


class Migration(migrations.Migration):

    dependencies = [("models_registry", "0005_smaller_files_and_evaluations")]

    operations = [
        migrations.AddField("registeredmodel", "public_id", models.UUIDField(editable=False, null=True)),
        migrations.RunPython(give_each_its_own, migrations.RunPython.noop, elidable=True),
        migrations.AlterField(
            "registeredmodel",
            "public_id",
            models.UUIDField(
                default=uuid.uuid4,
                editable=False,
                help_text="Names the model where its token must not stand: its files may be published.",
                unique=True,
            ),
        ),
    ]
