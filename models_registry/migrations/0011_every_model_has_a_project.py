import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("models_registry", "0010_projects_of_models")]

    operations = [
        migrations.AlterField(
            "registeredmodel",
            "project",
            models.ForeignKey(
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="versions",
                to="models_registry.project",
            ),
        ),
        migrations.AlterField(
            "registeredmodel",
            "version",
            models.PositiveIntegerField(editable=False, help_text="Counts the models of the project."),
        ),
        migrations.AddConstraint(
            "registeredmodel",
            models.UniqueConstraint(fields=("project", "version"), name="version_once_in_a_project"),
        ),
    ]
