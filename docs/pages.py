"""Every page of the product, and the pictures that show it; `screenshots.py` takes them all.

A page is named as its address is. `tests/unit/test_pictures.py` fails when a page is added to the product
and not to this list.
"""

MODES = ("wide", "dark", "phone")

PAGES: dict[str, tuple[str, ...]] = {
    "home": ("home",),
    "api-docs": ("api-docs",),
    "training:new": (
        "new-model",
        "new-model-classes",
        "new-model-again",
        "new-model-columns",
        "new-model-refused",
        "new-model-checking",
        "new-model-checked",
        "new-model-table",
        "new-model-best",
        "new-model-advanced",
    ),
    "training:datasets": ("datasets-empty", "datasets"),
    "training:dataset": ("dataset", "dataset-checking", "dataset-unusable"),
    "training:jobs": ("jobs-empty", "jobs"),
    "training:job": ("job-running", "job"),
    "training:project-data": ("project-data", "project-data-doubts", "project-data-adding"),
    "training:camera": ("project-camera",),
    "inference:projects": ("projects-empty", "projects"),
    "inference:project": ("project",),
    "inference:versions": ("project-versions",),
    "evaluations:compare": ("project-compare",),
    "evaluations:evaluations": ("project-evaluations",),
    "evaluations:evaluation": ("project-evaluation",),
    "evaluations:expiring": ("expiring",),
    "inference:use": ("project-use",),
    "inference:project-settings": ("project-settings",),
    "inference:model": ("model", "model-text", "model-deleted"),
    "inference:describe": ("model-card",),
    "inference:batch-list": ("batches-empty", "batches"),
    "inference:batch": ("batch",),
    # Accounts
    "accounts:tokens": ("tokens",),
    "accounts:storage": ("storage",),
    "account_login": ("sign-in",),
    "account_logout": ("sign-out",),
    "account_signup": ("sign-up", "sign-up-closed"),
    "account_inactive": ("account-off",),
    "account_reauthenticate": ("password-again",),
    "account_email": ("email",),
    "account_email_verification_sent": ("email-sent",),
    "account_confirm_email": ("email-confirm", "email-link-old"),
    "account_change_password": ("password",),
    "account_reset_password": ("password-forgotten",),
    "account_reset_password_done": ("password-sent",),
    "account_reset_password_from_key": ("password-new", "password-link-old"),
    "account_reset_password_from_key_done": ("password-set",),
    # The admin, beside the lists and rows of its models
    "admin:index": ("admin",),
    "admin:app_list": ("admin-app",),
    "admin:logout": ("admin-signed-out",),
    "admin:auth_user_password_change": ("admin-user-password",),
    "admin:accounts_user_add": ("admin-user-new",),
    "admin:auth_group_add": ("admin-group-new",),
    "admin:training_hubnetwork_add": ("admin-network-new",),
    "admin:account_emailaddress_add": ("admin-address-new",),
    "admin:*_history": ("admin-history",),
    "admin:*_delete": ("admin-delete",),
}

# What the admin asks before an action: one that asks only whether, and one that asks for more.
QUESTIONS = ("admin-confirm", "admin-confirm-form")

# A model's list, unless it has a single row, and the page of a row.
ADMIN: dict[str, tuple[str | None, str]] = {
    "training.trainingjob": ("admin-jobs", "admin-job"),
    "models_registry.registeredmodel": ("admin-models", "admin-model"),
    "models_registry.project": ("admin-projects", "admin-project"),
    "models_registry.aliasmove": ("admin-alias-moves", "admin-alias-move"),
    "training.dataset": ("admin-datasets", "admin-dataset"),
    "training.example": ("admin-examples", "admin-example"),
    "training.revision": ("admin-revisions", "admin-revision"),
    "training.edit": ("admin-edits", "admin-edit"),
    "evaluations.evaluation": ("admin-evaluations", "admin-evaluation"),
    "inference.batch": ("admin-batches", "admin-batch"),
    "inference.modelusage": ("admin-uses", "admin-use"),
    "training.hubnetwork": ("admin-networks", "admin-network"),
    "training.workerheartbeat": ("admin-workers", "admin-worker"),
    "control.platformstatus": (None, "admin-switches"),
    "control.cleanuppolicy": (None, "admin-clean-up"),
    "documents.document": ("admin-documents", "admin-document"),
    "documents.outboxentry": ("admin-unpublished", "admin-unpublished-change"),
    "documents.publishedentry": ("admin-entries", "admin-entry"),
    "documents.overruledchange": ("admin-overruled", "admin-overruled-change"),
    "core.periodictask": ("admin-periodic-tasks", "admin-periodic-task"),
    "accounts.user": ("admin-users", "admin-user"),
    "auth.group": ("admin-groups", "admin-group"),
    "knox.authtoken": ("admin-tokens", "admin-token"),
    "account.emailaddress": ("admin-addresses", "admin-address"),
}

# What is shown instead of a page: a template, and the pictures of it.
ERRORS: dict[str, tuple[str, ...]] = {
    "400.html": ("error-400",),
    "403.html": ("error-403",),
    "403_csrf.html": ("error-403-form",),
    "404.html": ("error-404",),
    "413.html": ("error-413",),
    "429.html": ("error-429",),
    "500.html": ("error-500",),
    "503.html": ("error-503", "maintenance"),
}

NOT_PAGES: dict[str, str] = {
    "api-*": "for programs",
    "flash:*": "for programs",
    "schema": "for programs",
    "health": "for programs",
    "health-live": "for programs",
    "metrics": "for programs",
    "admin:platform_health": "a part of the dashboard",
    "training:job-fragment": "a part of the job's page",
    "training:dataset-progress": "a part of the pages of a new model and of a data set",
    "inference:batch-fragment": "a part of the batch's page",
    "admin:search": "a part of the sidebar",
    "admin:autocomplete": "a part of a form",
    "admin:jsi18n": "a script",
    "admin:view_on_site": "leads on",
    "admin:login": "leads to the sign-in page",
    "admin:password_change": "leads to the password's page",
    "admin:password_change_done": "leads to the password's page",
    "training:upload": "takes a form, and answers with the page of a new model",
    "training:sample": "takes a form, and leads on",
    "training:delete-dataset": "takes a form, and leads on",
    "training:edit-data": "takes a form, and answers with the page of the data",
    "training:additions": "a part of the page of the data",
    "training:add-data": "takes a form, and leads on",
    "training:download-data": "a file",
    "training:train-again": "takes a form, and leads on",
    "training:example-photo": "a picture",
    "training:cancel": "takes a form, and leads on",
    "training:retry": "takes a form, and leads on",
    "accounts:revoke-token": "takes a form, and leads on",
    "evaluations:compare-fragment": "a part of the comparison's page",
    "evaluations:evaluation-fragment": "a part of the evaluation's page",
    "evaluations:answers": "a file",
    "evaluations:photo": "a picture",
    "evaluations:cancel": "takes a form, and leads on",
    "evaluations:delete": "takes a form, and leads on",
    "evaluations:keep": "takes a form, and leads on",
    "inference:name-version": "takes a form, and leads on",
    "inference:models": "leads on to the projects",
    "inference:promote": "takes a form, and leads on",
    "inference:rollback": "takes a form, and leads on",
    "inference:serve-again": "takes a form, and leads on",
    "inference:delete-project": "takes a form, and leads on",
    "inference:try": "takes a form, and answers with the model's page",
    "inference:keep": "takes a form, and leads on",
    "inference:retire": "takes a form, and leads on",
    "inference:restore": "takes a form, and leads on",
    "inference:batches": "takes a form, and leads on",
    "inference:batch-cancel": "takes a form, and leads on",
    "inference:download": "a file",
    "inference:batch-result": "a file",
    "account_set_password": "only for accounts without a password, of which nobody can sign in to one",
    "account_confirm_login_code": "only where people sign in by a code, which is switched off",
}


def all_pictures() -> list[str]:
    """Return the name of every picture, without its mode."""
    rows = [name for pair in ADMIN.values() for name in pair if name]
    shown = [*PAGES.values(), QUESTIONS, *ERRORS.values()]
    return [*(name for names in shown for name in names), *rows]


def file_name(picture: str, mode: str) -> str:
    """Return the file of a picture: `model.png` is wide, `model-dark.png` is not."""
    return f"{picture}.png" if mode == "wide" else f"{picture}-{mode}.png"
