"""Jobs that exist belong to their model's project.

One without a model belongs to that of a job that trained the same data under the same name, else to a project of its
own, which counts as deleted when the job has ended: nothing came of it, and trying it again makes a new one.
"""

import re
import secrets

from django.db import migrations
from django.db.models import OuterRef, Subquery
from django.utils import timezone

AT_ONCE = 500
KINDS = {"imageclassification": "imageClassification", "textclassification": "textClassification"}
ENDED = ("failed", "cancelled", "succeeded")
READ = ("pk", "name", "owner_id", "dataset_id", "task_type", "state", "finished_at", "project_id")


def new_token(task_type, name):
    readable = re.sub(r"[^a-z0-9-]+", "_", name.lower()).strip("_-")[:40] or "model"
    return f"{KINDS[task_type]}-{readable}-{secrets.token_hex(16)}"


def find_projects(apps, schema_editor):
    job = apps.get_model("training", "TrainingJob")
    model = apps.get_model("models_registry", "RegisteredModel")
    theirs = model.objects.filter(pk=OuterRef("registered_model")).values("project")
    job.objects.filter(project=None, registered_model__isnull=False).update(project=Subquery(theirs))
    last = 0
    while jobs := list(job.objects.filter(pk__gt=last, project=None).order_by("pk").only(*READ)[:AT_ONCE]):
        last = jobs[-1].pk
        known = projects_of_work(job, jobs)
        lone = [one for one in jobs if work(one) not in known]
        known |= make_projects(apps, lone)
        for one in jobs:
            one.project_id = known[work(one)]
        job.objects.bulk_update(jobs, ["project"])


def work(job):
    return job.owner_id, job.dataset_id, job.name, job.task_type


def projects_of_work(job, jobs):
    """Return the present projects of what the jobs train, by `work`."""
    alike = job.objects.filter(
        dataset__in={one.dataset_id for one in jobs}, project__isnull=False, project__deleted_at=None
    )
    rows = alike.order_by("pk").only(*READ)
    return {work(one): one.project_id for one in rows.iterator()}


def make_projects(apps, jobs):
    """Make a project for each work of jobs; returns their keys by it."""
    project = apps.get_model("models_registry", "Project")
    groups = {}
    for one in jobs:
        groups.setdefault(work(one), []).append(one)
    made = project.objects.bulk_create(
        project(
            token=new_token(task_type, name),
            name=name,
            owner_id=owner,
            task_type=task_type,
            deleted_at=deleted_at(group),
        )
        for (owner, _, name, task_type), group in groups.items()
    )
    return {key: one.pk for key, one in zip(groups, made, strict=True)}


def deleted_at(jobs):
    if any(one.state not in ENDED for one in jobs):
        return None
    return max((one.finished_at for one in jobs if one.finished_at), default=timezone.now())


class Migration(migrations.Migration):

    dependencies = [("training", "0013_projects")]

    operations = [migrations.RunPython(find_projects, migrations.RunPython.noop, elidable=True)]
