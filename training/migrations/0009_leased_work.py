from django.db import migrations, models
from django.db.models import Q

HELD = ["running", "cancelling"]
FINAL = ["succeeded", "failed", "cancelled"]
STATES = ["queued", *HELD, *FINAL]
OLD = {"datasetvalidation": ["datasetvalidation_state_known", "datasetvalidation_held_has_lease"]}
OLD["trainingjob"] = ["job_state_known", "job_held_has_lease", "job_final_has_end"]


def rules_of(name):
    """Return the constraints that every kind of leased work has."""
    return [
        models.CheckConstraint(condition=Q(state__in=STATES), name=f"{name}_state_known"),
        models.CheckConstraint(
            condition=Q(state__in=HELD, lease_expires_at__isnull=False)
            | (~Q(state__in=HELD) & Q(lease_expires_at__isnull=True)),
            name=f"{name}_held_has_lease",
        ),
        models.CheckConstraint(
            condition=Q(state__in=["queued", *HELD], finished_at__isnull=True)
            | Q(state__in=FINAL, finished_at__isnull=False),
            name=f"{name}_final_has_end",
        ),
    ]


def fields_of(name):
    """Return what both kinds have in another width than before."""
    count = {"default": 0, "editable": False}
    claims = "Counts claims: every write of a worker names its own."
    died = "Attempts that died; being suspended or stopped does not count."
    why = "Why it waits again, or has failed."
    return [
        migrations.AlterField(name, "attempt", models.PositiveIntegerField(help_text=claims, **count)),
        migrations.AlterField(name, "failures", models.PositiveIntegerField(help_text=died, **count)),
        migrations.AlterField(name, "worker", models.CharField(blank=True, editable=False, max_length=200)),
        migrations.AlterField(
            name, "message", models.TextField(blank=True, editable=False, help_text=why)
        ),
    ]


class Migration(migrations.Migration):

    dependencies = [("training", "0008_rows_of_leased_work")]

    operations = [
        *(migrations.RemoveConstraint(name, rule) for name, rules in OLD.items() for rule in rules),
        migrations.RenameField("trainingjob", "error", "message"),
        *(operation for name in OLD for operation in fields_of(name)),
        migrations.AddField(
            "datasetvalidation",
            "queue",
            models.CharField(
                default="batches",
                editable=False,
                help_text="Not behind trainings, which may take hours.",
                max_length=16,
            ),
        ),
        migrations.AlterField(
            "datasetvalidation",
            "state",
            models.CharField(
                choices=[(state, state) for state in STATES], default="queued", editable=False, max_length=12
            ),
        ),
        migrations.AlterField(
            "trainingjob",
            "swept_attempt",
            models.PositiveIntegerField(
                default=0,
                editable=False,
                help_text="Attempts up to this one have left nothing in the bucket.",
            ),
        ),
        *(migrations.AddConstraint(name, rule) for name in OLD for rule in rules_of(name)),
    ]
