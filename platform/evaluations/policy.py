"""A project's policy: a new version goes into production by itself when it is better beyond chance.

Every step follows from the rows alone, so that who dies between two of them is followed by whoever looks next: no
decision yet, no evaluations: begin them; all measured: decide. The decision and the promotion are one transaction,
which somebody else's promotion meanwhile undoes.
"""

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from control.selectors import is_halted
from core.exceptions import Conflict, InvalidRequest
from core.periodic import for_each
from models_registry.models import PRODUCTION, AliasMove, Project, RegisteredModel
from models_registry.projects.versions import promote_version
from models_registry.selectors import production_of
from training.examples.findings import LOOKED_AT_WITHIN

from .comparison import compare, standing_of
from .models import PolicyDecision
from .services import TooManyEvaluations, compare_versions

logger = structlog.get_logger(__name__)

LOOKED_AT = 1000  # projects


def apply_policies() -> int:
    """Look at every project that promotes by itself: a periodic task. Returns how many were decided on."""
    if is_halted():
        return 0
    projects = Project.objects.current().filter(policy=Project.Policy.WHEN_BETTER).order_by("?")
    return for_each(list(projects.values_list("pk", flat=True)[:LOOKED_AT]), apply_policy)


def apply_policy(project_id: int) -> bool:
    """Take a project's policy one step further; returns whether a version was decided on. Raises `BucketError`."""
    project = Project.objects.current().filter(pk=project_id, policy=Project.Policy.WHEN_BETTER).first()
    production = production_of(project) if project is not None else None
    if project is None or production is None or not production.is_serving or is_halted():
        return False
    candidate = _candidate(project, production)
    if candidate is None:
        return False
    try:
        return _step(project, production, candidate)
    except TooManyEvaluations:
        return False  # the next look finds room, or not yet
    except InvalidRequest as error:
        return _decide(project, production, candidate, f"It was not promoted: {error}")


def _candidate(project: Project, production: RegisteredModel) -> RegisteredModel | None:
    """Return the oldest version after the one in production that nobody has decided on.

    One that was in production before was taken out of it by a person, and stays so.
    """
    known = AliasMove.objects.filter(project=project, name=PRODUCTION, to_model__isnull=False)
    later = project.versions.serving().filter(version__gt=production.version, policy_decision=None)
    later = later.filter(unusable_because="").exclude(pk__in=known.values("to_model"))
    later = later.exclude(findings__awaited=True, live_at__gt=timezone.now() - LOOKED_AT_WITHIN)
    return later.order_by("version").first()


def _step(project: Project, production: RegisteredModel, candidate: RegisteredModel) -> bool:
    """Begin the evaluations, wait for them, or decide. Raises `InvalidRequest`."""
    versions = [production.version, candidate.version]
    standing = standing_of(project, versions)
    if standing.is_under_way:
        return False
    if standing.is_ready and not standing.is_stale:
        found = compare(standing)
        [pair] = found.pairs
        is_better = pair.difference.is_beyond_chance and pair.better == candidate.version
        why = f"{pair.words} Measured on {found.examples:,} examples."
        return _decide(project, production, candidate, why, promotes=is_better)
    for one in (one for one in standing.failed if one.created_at > candidate.live_at):
        why = one.message or "its evaluation was cancelled."
        raise InvalidRequest(f"version {one.model.version} could not be measured: {why}")
    compare_versions(project=project, versions=versions, author=None)
    return False


def _decide(
    project: Project,
    production: RegisteredModel,
    candidate: RegisteredModel,
    why: str,
    *,
    promotes: bool = False,
) -> bool:
    """Note the decision, and promote with it; False when somebody has decided or promoted meanwhile."""
    outcome = PolicyDecision.Outcome.PROMOTED if promotes else PolicyDecision.Outcome.KEPT
    wants = Project.objects.current().filter(pk=project.pk, policy=Project.Policy.WHEN_BETTER)
    try:
        with transaction.atomic():
            if not wants.select_for_update().exists():
                return False
            if promotes:
                promote_version(
                    project=project,
                    version=candidate.version,
                    expected=production.version,
                    why=why[:500],
                    kind=AliasMove.Kind.POLICY,
                )
            PolicyDecision.objects.create(
                project=project, model=candidate, against=production, outcome=outcome, why=why[:500]
            )
    except (Conflict, IntegrityError):
        return False
    logger.info("policy.decided", project=project.pk, version=candidate.version, outcome=str(outcome))
    return True
