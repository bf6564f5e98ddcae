"""A new version that is better beyond chance goes into production by itself, whoever dies on the way."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from evaluations import policy, signals
from evaluations.models import Evaluation, PolicyDecision
from evaluations.policy import apply_policies
from models_registry.models import AliasMove, Project, RegisteredModel
from models_registry.projects.versions import promote_version, roll_back
from models_registry.selectors import production_of
from training.datasets.models import Dataset

from .conftest import TEXTS, learnt, project_of, second_version

pytestmark = pytest.mark.django_db(transaction=True)
WorkOff = Callable[[], None]


class Killed(SystemExit):
    """What kill -9 is to a process."""


@pytest.fixture
def worse_is_live(project: Project) -> Project:
    """The second version, which is worse, is in production, and the first has never been."""
    AliasMove.objects.all().delete()
    project.aliases.update(model=project.versions.get(version=2))
    project.versions.filter(version=1).update(version=3)
    Project.objects.filter(pk=project.pk).update(policy=Project.Policy.WHEN_BETTER)
    project.refresh_from_db()
    return project


def in_production(project: Project) -> int:
    found = production_of(project)
    assert found is not None
    return found.version


def settle(work_off: WorkOff) -> None:
    """Do what workers and the periodic task do, until nothing is left."""
    for _ in range(4):
        apply_policies()
        work_off()


def assert_promoted_once(project: Project) -> None:
    assert in_production(project) == 3
    [move] = AliasMove.objects.filter(project=project)
    assert (move.kind, move.by, move.from_model.version) == ("policy", None, 2)
    assert move.why == (
        "Version 3 is better than version 2 beyond chance (p = 0.016). Measured on 11 examples."
    )
    [decision] = PolicyDecision.objects.all()
    assert (decision.outcome, decision.model.version, decision.why) == ("promoted", 3, move.why)
    assert Evaluation.objects.count() == 2


def test_what_is_better_is_promoted(worse_is_live: Project, work_off: WorkOff) -> None:
    settle(work_off)
    assert_promoted_once(worse_is_live)


def test_a_version_that_goes_live_is_measured_at_once(project: Project, work_off: WorkOff) -> None:
    """Without the periodic task: each step leads to the next. It is worse, and is not promoted."""
    Project.objects.update(policy=Project.Policy.WHEN_BETTER)
    project.versions.filter(version=2).delete()
    model = second_version(project, version=3)
    assert [one.author for one in Evaluation.objects.all()] == [], "what it has learnt from was not noted yet"
    PolicyDecision.objects.all().delete()
    learnt(model, Dataset.objects.get(), TEXTS)
    model.save()
    signals.version_went_live(model, created=True)
    assert Evaluation.objects.count() == 2
    work_off()
    [decision] = PolicyDecision.objects.all()
    assert (decision.outcome, in_production(project)) == ("kept", 1)
    assert decision.why == (
        "Version 1 is better than version 3 beyond chance (p = 0.016). Measured on 11 examples."
    )


STEPS = {
    "before the evaluations are begun": (policy, "compare_versions"),
    "before the versions are compared": (policy, "compare"),
    "before the promotion": (policy, "promote_version"),
    "in the middle of the decision": (PolicyDecision.objects, "create"),
}


@pytest.mark.parametrize("step", STEPS)
def test_who_dies_is_followed_by_the_next(
    worse_is_live: Project, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    where, name = STEPS[step]

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(where, name, die)
        with pytest.raises(Killed):
            settle(work_off)
    assert in_production(worse_is_live) == 2
    assert not PolicyDecision.objects.exists()
    settle(work_off)
    assert_promoted_once(worse_is_live)


def test_a_promotion_meanwhile_stands(
    worse_is_live: Project, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the comparison and the decision somebody promotes another version."""
    other = second_version(worse_is_live, version=1)
    learnt(other, Dataset.objects.get(), TEXTS)

    def slow(standing: object) -> object:
        found = compare(standing)
        if in_production(worse_is_live) == 2:
            promote_version(project=worse_is_live, version=1)
        return found

    compare = policy.compare
    monkeypatch.setattr(policy, "compare", slow)
    apply_policies()
    work_off()
    assert in_production(worse_is_live) == 1
    assert not PolicyDecision.objects.exists()
    # Then it is compared with that one.
    settle(work_off)
    [decision] = PolicyDecision.objects.filter(model__version=3)
    assert decision.against.version == 1


def test_what_a_person_took_out_stays_out(project: Project, work_off: WorkOff) -> None:
    promote_version(project=project, version=2)
    roll_back(project=project)
    Project.objects.update(policy=Project.Policy.WHEN_BETTER)
    settle(work_off)
    assert not Evaluation.objects.exists()
    assert in_production(project) == 1


def test_by_hand_nothing_happens(worse_is_live: Project, work_off: WorkOff) -> None:
    Project.objects.update(policy=Project.Policy.MANUAL)
    settle(work_off)
    assert not Evaluation.objects.exists()


def test_a_policy_that_is_switched_off_meanwhile_promotes_nothing(
    worse_is_live: Project, work_off: WorkOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = policy.compare

    def slow(standing: object) -> object:
        Project.objects.update(policy=Project.Policy.MANUAL)
        return compare(standing)

    monkeypatch.setattr(policy, "compare", slow)
    settle(work_off)
    assert in_production(worse_is_live) == 2
    assert not PolicyDecision.objects.exists()


def test_no_difference_is_noted(work_off: WorkOff) -> None:
    project = project_of([("a", "joy", "train"), ("b wrong", "joy", "train"), ("c", "sorrow", "validation")])
    Project.objects.update(policy=Project.Policy.WHEN_BETTER)
    settle(work_off)
    [decision] = PolicyDecision.objects.all()
    assert decision.why == (
        "Versions 1 and 2: no difference that could not be chance (p = 1.00). Measured on 3 examples."
    )
    assert (decision.outcome, in_production(project)) == ("kept", 1)


def test_a_version_waits_for_the_look_at_its_data(worse_is_live: Project, work_off: WorkOff) -> None:
    RegisteredModel.objects.filter(version=3).update(live_at=timezone.now())
    findings = worse_is_live.versions.get(version=3).findings
    findings.awaited = True
    findings.save()
    settle(work_off)
    assert not Evaluation.objects.exists()
    assert not PolicyDecision.objects.exists()
    findings.awaited = False
    findings.save()
    assert Evaluation.objects.count() == 2, "looked at when the findings come, without the periodic task"
    settle(work_off)
    assert in_production(worse_is_live) == 3


def test_what_cannot_be_measured_is_noted(worse_is_live: Project, work_off: WorkOff) -> None:
    RegisteredModel.objects.filter(version=3).update(live_at=timezone.now())
    worse_is_live.versions.get(version=2).findings.delete()
    settle(work_off)
    [decision] = PolicyDecision.objects.all()
    assert decision.why.startswith("It was not promoted: It is not known what version 2 has learnt from")
    assert in_production(worse_is_live) == 2
