import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("models_registry", "0011_every_model_has_a_project"),
        ("training", "0012_names_as_people_write_them"),
    ]

    operations = [
        migrations.AddField(
            "trainingjob",
            "project",
            models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="training_jobs",
                to="models_registry.project",
            ),
        ),
    ]
