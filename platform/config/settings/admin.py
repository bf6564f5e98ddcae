"""How the admin looks, and the links of its sidebar."""

from django.templatetags.static import static
from django.urls import reverse_lazy


def _admin_link(title: str, icon: str, model: str) -> dict[str, object]:
    """Return a link of the admin's sidebar to a model's list, shown to those who may see it."""
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": lambda request: request.user.has_perm(f"{app}.view_{name}"),
    }


UNFOLD = {
    "SITE_TITLE": "Trainyard",
    "SITE_HEADER": "Trainyard",
    "SITE_SUBHEADER": "Administration",
    "SITE_URL": "/",
    "SITE_SYMBOL": "account_tree",
    "SHOW_HISTORY": True,
    "DASHBOARD_CALLBACK": "config.dashboard.dashboard",
    "STYLES": [lambda request: static("trainyard/css/admin.css")],
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("favicon.svg")},
    ],
    "COLORS": {
        "primary": {
            "50": "oklch(96.2% .018 272)",
            "100": "oklch(93% .034 273)",
            "200": "oklch(87% .065 274)",
            "300": "oklch(78.5% .115 275)",
            "400": "oklch(67.3% .182 277)",
            "500": "oklch(58.5% .233 277)",
            "600": "oklch(48% .24 272)",
            "700": "oklch(42% .22 272)",
            "800": "oklch(38% .19 273)",
            "900": "oklch(34% .15 274)",
            "950": "oklch(25.7% .09 281)",
        }
    },
    "SIDEBAR": {
        "show_search": True,
        "navigation": [
            {
                "title": "Work",
                "items": [
                    _admin_link("Jobs", "play_circle", "training.trainingjob"),
                    _admin_link("Models", "deployed_code", "models_registry.registeredmodel"),
                    _admin_link("Projects", "folder_special", "models_registry.project"),
                    _admin_link("Moves of aliases", "swap_horiz", "models_registry.aliasmove"),
                    _admin_link("Data sets", "dataset", "training.dataset"),
                    _admin_link("Examples", "photo_library", "training.example"),
                    _admin_link("Revisions", "history", "training.revision"),
                    _admin_link("Changes of examples", "edit_note", "training.edit"),
                    _admin_link("Evaluations", "fact_check", "evaluations.evaluation"),
                    _admin_link("Batches", "stacks", "inference.batch"),
                    _admin_link("Use of models", "bar_chart", "inference.modelusage"),
                    _admin_link("Networks", "hub", "training.hubnetwork"),
                    _admin_link("Workers", "memory", "training.workerheartbeat"),
                ],
            },
            {
                "title": "Platform",
                "separator": True,
                "items": [
                    _admin_link("Maintenance", "construction", "control.platformstatus"),
                    _admin_link("Clean-up", "mop", "control.cleanuppolicy"),
                    _admin_link("Documents", "description", "documents.document"),
                    _admin_link("Unpublished changes", "outbox", "documents.outboxentry"),
                    _admin_link("Published entries", "data_object", "documents.publishedentry"),
                    _admin_link("Overruled changes", "rule", "documents.overruledchange"),
                    _admin_link("Periodic tasks", "schedule", "core.periodictask"),
                ],
            },
            {
                "title": "People",
                "separator": True,
                "items": [
                    _admin_link("Users", "person", "accounts.user"),
                    _admin_link("Groups", "group", "auth.group"),
                    _admin_link("API tokens", "key", "knox.authtoken"),
                    _admin_link("E-mail addresses", "mail", "account.emailaddress"),
                ],
            },
        ],
    },
}
