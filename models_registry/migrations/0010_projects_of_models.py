"""Models that exist become projects of one version.

What was trained here and is not deleted is its project's production version, so the project's token answers and
comes into inference.json. A model from outside waits for someone to promote it.
"""

import re
import secrets

from django.db import migrations
from django.db.models import OuterRef, Subquery
from django.utils import timezone

AT_ONCE = 500
KINDS = {"imageclassification": "imageClassification", "textclassification": "textClassification"}
GONE = ("deleting", "deleted")
READ = (
    *("pk", "name", "description", "owner_id", "task_type", "state", "origin"),
    *("retired_at", "project_id", "version"),
)


def new_token(task_type, name):
    readable = re.sub(r"[^a-z0-9-]+", "_", name.lower()).strip("_-")[:40] or "model"
    return f"{KINDS[task_type]}-{readable}-{secrets.token_hex(16)}"


def make_projects(apps, schema_editor):
    registered = apps.get_model("models_registry", "RegisteredModel").objects
    project = apps.get_model("models_registry", "Project")
    last, now = 0, timezone.now()
    while models := list(
        registered.filter(pk__gt=last, project=None).order_by("pk").only(*READ)[:AT_ONCE]
    ):
        last = models[-1].pk
        projects = project.objects.bulk_create(
            project(
                token=new_token(model.task_type, model.name),
                name=model.name,
                description=model.description,
                owner_id=model.owner_id,
                task_type=model.task_type,
                deleted_at=(model.retired_at or now) if model.state in GONE else None,
            )
            for model in models
        )
        for model, made in zip(models, projects, strict=True):
            model.project_id, model.version = made.pk, 1
        registered.bulk_update(models, ["project", "version"])
        serve(apps, [model for model in models if model.origin == "trained" and model.state not in GONE], projects)
    first = registered.filter(project=OuterRef("pk"), version=1).values("created_at")[:1]
    project.objects.update(created_at=Subquery(first))


def serve(apps, models, projects):
    """Make each model the production version of its project."""
    alias = apps.get_model("models_registry", "Alias")
    move = apps.get_model("models_registry", "AliasMove")
    outbox = apps.get_model("documents", "OutboxEntry")
    tokens = {project.pk: project.token for project in projects}
    alias.objects.bulk_create(
        alias(project_id=model.project_id, name="production", model_id=model.pk) for model in models
    )
    move.objects.bulk_create(
        move(project_id=model.project_id, name="production", to_model_id=model.pk, kind="first")
        for model in models
    )
    outbox.objects.bulk_create(
        outbox(document="inference.json", entry=tokens[model.project_id])
        for model in models
        if model.state == "live"
    )


class Migration(migrations.Migration):

    dependencies = [("models_registry", "0009_projects"), ("documents", "0005_writes")]

    operations = [migrations.RunPython(make_projects, migrations.RunPython.noop, elidable=True)]
