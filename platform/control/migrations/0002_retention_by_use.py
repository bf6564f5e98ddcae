import datetime

import django.core.validators
from django.db import migrations, models

FROM_USE = {"verbose_name": "count from the last use", "help_text": "Off: from the end of the training."}
SPARES = {
    "verbose_name": "keep what is in production",
    "help_text": "The version that answers a project's token never expires. Off, for public demos: it goes like any "
    "other.",
}


class Migration(migrations.Migration):
    """A platform that is in use keeps its two hours, or what else it was set to; a new one keeps what is used."""

    dependencies = [("control", "0001_initial")]

    operations = [
        migrations.AddField(
            "cleanuppolicy", "counts_from_use", models.BooleanField(default=False, **FROM_USE)
        ),
        migrations.AlterField("cleanuppolicy", "counts_from_use", models.BooleanField(default=True, **FROM_USE)),
        migrations.AddField(
            "cleanuppolicy", "spares_production", models.BooleanField(default=False, **SPARES)
        ),
        migrations.AlterField(
            "cleanuppolicy", "spares_production", models.BooleanField(default=True, **SPARES)
        ),
        migrations.AlterField(
            "cleanuppolicy",
            "retention",
            models.DurationField(
                blank=True,
                default=datetime.timedelta(days=30),
                help_text="How long a model lives, as [days] hh:mm:ss; empty: for ever. Changing it leaves the expiry of "
                "existing models as it is. Pinned models never expire.",
                null=True,
                validators=[django.core.validators.MinValueValidator(datetime.timedelta(seconds=60))],
            ),
        ),
    ]
