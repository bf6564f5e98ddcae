import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("training", "0014_projects_of_jobs")]

    operations = [
        migrations.AlterField(
            "trainingjob",
            "project",
            models.ForeignKey(
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="training_jobs",
                to="models_registry.project",
            ),
        ),
    ]
