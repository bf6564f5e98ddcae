"""The two groups of staff that every platform has: operators, who run it, and viewers, who look.

`migrate` makes them and gives them exactly what stands here, so that a new page of the admin comes to
both by itself. For another set of rights, make another group: the platform leaves it alone.
"""

from django.apps import apps as registry
from django.apps.registry import Apps
from django.db.models import Q

OPERATOR, VIEWER = "operator", "viewer"

# These rows show every model's token, which is the right to predict, or API tokens.
SECRETS = (
    *("documents.outboxentry", "documents.publishedentry", "documents.overruledchange"),
    *("core.periodictask", "knox.authtoken"),
)
LOOKED_AT = ("control", "core", "documents", "evaluations", "inference", "models_registry", "training")
OPERATED = (
    *("training.change_trainingjob", "training.change_dataset", "training.delete_dataset"),
    *("training.change_hubnetwork", "training.delete_hubnetwork"),  # to add one is a matter of licences
    *("models_registry.change_registeredmodel", "inference.change_batch", "documents.change_document"),
    *("control.change_platformstatus", "control.change_cleanuppolicy"),
)


def rights_of_viewers() -> set[str]:
    """Return what viewers may: look at everything that holds no secret, and at who there is."""
    return {name for name in _views(*LOOKED_AT) if name not in _named("view", SECRETS)} | set(
        _named("view", ("accounts.user", "auth.group"))
    )


def rights_of_operators() -> set[str]:
    """Return what operators may: look at everything but people's keys, and steer what the platform does."""
    return {*_views(*LOOKED_AT), *OPERATED}


def grant_roles(apps: Apps = registry, **_: object) -> None:
    """Make both groups and give them their rights; may be repeated."""
    try:
        apps.get_model("auth", "Group")
    except LookupError:
        return  # only some apps were migrated
    from django.contrib.auth.models import Group, Permission

    for name, rights in ((VIEWER, rights_of_viewers()), (OPERATOR, rights_of_operators())):
        group, _made = Group.objects.get_or_create(name=name)
        wanted = Q(pk__in=[])
        for right in rights:
            app, codename = right.split(".")
            wanted |= Q(content_type__app_label=app, codename=codename)
        group.permissions.set(Permission.objects.filter(wanted))


def _views(*labels: str) -> set[str]:
    models = (model for label in labels for model in registry.get_app_config(label).get_models())
    return {f"{model._meta.app_label}.view_{model._meta.model_name}" for model in models}


def _named(what: str, models: tuple[str, ...]) -> list[str]:
    return [f"{app}.{what}_{name}" for app, name in (model.split(".") for model in models)]
