from django.db import migrations, models
from django.db.models import Q

HELD = ["running", "cancelling"]
FINAL = ["succeeded", "failed", "cancelled"]


class Migration(migrations.Migration):

    dependencies = [("inference", "0003_rows_of_leased_work")]

    operations = [
        migrations.RenameIndex("batch", new_name="batch_queue", old_name="inference_b_state_6720b2_idx"),
        migrations.AddField("batch", "queue", models.CharField(default="batches", editable=False, max_length=16)),
        migrations.AlterField(
            "batch",
            "attempt",
            models.PositiveIntegerField(
                default=0, editable=False, help_text="Counts claims: every write of a worker names its own."
            ),
        ),
        migrations.AlterField(
            "batch",
            "message",
            models.TextField(blank=True, editable=False, help_text="Why it waits again, or has failed."),
        ),
        migrations.AddConstraint(
            "batch",
            models.CheckConstraint(
                condition=Q(state__in=HELD, lease_expires_at__isnull=False)
                | (~Q(state__in=HELD) & Q(lease_expires_at__isnull=True)),
                name="batch_held_has_lease",
            ),
        ),
        migrations.AddConstraint(
            "batch",
            models.CheckConstraint(
                condition=Q(state__in=["queued", *HELD], finished_at__isnull=True)
                | Q(state__in=FINAL, finished_at__isnull=False),
                name="batch_final_has_end",
            ),
        ),
    ]
