from django.db import migrations
from django.db.models import F

HELD = ["running", "cancelling"]
FINAL = ["succeeded", "failed", "cancelled"]
KINDS = ["datasetvalidation", "trainingjob"]


def keep_the_rules(apps, schema_editor):
    """Let rows follow the constraints that come next; the code has always written them so.

    A migration of its own: PostgreSQL alters no table whose rows the same transaction has changed.
    """
    for name in KINDS:
        work = apps.get_model("training", name).objects
        work.filter(state__in=HELD, lease_expires_at=None).update(lease_expires_at=F("updated_at"))
        work.exclude(state__in=HELD).exclude(lease_expires_at=None).update(lease_expires_at=None)
        work.filter(state__in=FINAL, finished_at=None).update(finished_at=F("updated_at"))
        work.exclude(state__in=FINAL).exclude(finished_at=None).update(finished_at=None)


class Migration(migrations.Migration):

    dependencies = [("training", "0007_strategy_choices")]

    operations = [migrations.RunPython(keep_the_rules, migrations.RunPython.noop, elidable=True)]
