"""Promotions and roll-backs, and what they do to the project's token and its entry in inference.json."""

import itertools
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.exceptions import Conflict, InvalidRequest
from documents import keys
from documents.drift import check_document
from documents.publish import publish_waiting
from inference.predict.lookup import UnknownModel, find_served_model
from models_registry.models import PRODUCTION, Alias, AliasMove, Project, RegisteredModel
from models_registry.projects.services import delete_project, serve_again
from models_registry.projects.versions import (
    ModelDescription,
    StoredFile,
    previous_version,
    promote_version,
    publish_model,
    roll_back,
)
from models_registry.retention import clean_up
from models_registry.selectors import production_of
from models_registry.services import restore_model, retire_model
from tests.factories import ProjectFactory, RegisteredModelFactory

pytestmark = pytest.mark.django_db(transaction=True)


def publish(project: Project, **changes: Any) -> RegisteredModel:
    """Make the next version of a project, as a finished training does."""
    made = RegisteredModelFactory.build(project=project)
    fields = {
        name: getattr(made, name) for name in ModelDescription.__dataclass_fields__ if hasattr(made, name)
    }
    description = ModelDescription(
        **{**fields, "project_id": project.pk, "owner_id": None, "metrics": {}, **changes}
    )
    files = [
        StoredFile(kind, f"imageclassification/{made.token}/1/model.{kind}", 3, "0" * 64)
        for kind in ("onnx", "torchscript")
    ]
    return publish_model(description=description, files=files)


def numbered(count: int) -> tuple[Project, list[RegisteredModel]]:
    project = ProjectFactory()
    return project, [publish(project) for _ in range(count)]


def production(project: Project) -> int | None:
    found = production_of(project)
    return found.version if found else None


def document(bucket: Path) -> Any:
    publish_waiting()
    assert not check_document(keys.INFERENCE).problems
    return json.loads((bucket / keys.INFERENCE).read_bytes())


def test_versions_are_counted_and_the_first_is_in_production() -> None:
    project, versions = numbered(3)
    assert [model.version for model in versions] == [1, 2, 3]
    assert production(project) == 1
    assert find_served_model(project.token).model == versions[0]
    assert AliasMove.objects.get().kind == AliasMove.Kind.FIRST


def test_promotion_moves_token_and_entry(bucket: Path) -> None:
    project, (first, second) = numbered(2)
    before = document(bucket)
    assert before[project.token] == before[first.token] | {"version": 1}
    promote_version(project=project, version=2, by=project.owner, why="better on tulips")
    after = document(bucket)
    assert after[project.token] == after[second.token] | {"version": 2}
    assert {*after} == {project.token, first.token, second.token}
    served = find_served_model(project.token)
    assert (served.model, served.model.shown_token) == (second, project.token)
    assert find_served_model(first.token).model == first, "a version keeps its own token"
    move = AliasMove.objects.first()
    assert (move.from_model, move.to_model, move.by, move.why) == (
        first,
        second,
        project.owner,
        "better on tulips",
    )


def test_promoting_what_is_in_production_changes_nothing() -> None:
    project, _ = numbered(1)
    promote_version(project=project, version=1)
    assert AliasMove.objects.count() == 1


@pytest.mark.parametrize(("version", "words"), [(9, "no version 9"), (2, "not live any more")])
def test_what_does_not_answer_cannot_be_promoted(version: int, words: str) -> None:
    project, (_, second) = numbered(2)
    retire_model(model=second)
    with pytest.raises(InvalidRequest, match=words):
        promote_version(project=project, version=version)
    assert production(project) == 1


def test_expected_version_guards_against_others() -> None:
    project, _ = numbered(3)
    promote_version(project=project, version=2, expected=1)
    with pytest.raises(Conflict, match="version 2 is in production"):
        promote_version(project=project, version=3, expected=1)
    with pytest.raises(Conflict):
        roll_back(project=project, expected=1)


def test_roll_back_goes_one_promotion_back_at_a_time() -> None:
    project, _versions = numbered(3)
    for version in (2, 3):
        promote_version(project=project, version=version)
    assert [roll_back(project=project).version for _ in range(2)] == [2, 1]
    assert previous_version(project) is None
    with pytest.raises(InvalidRequest, match="before version 1"):
        roll_back(project=project)
    assert [move.kind for move in AliasMove.objects.all()[:2]] == [AliasMove.Kind.ROLL_BACK] * 2


def test_roll_back_passes_over_versions_that_are_gone() -> None:
    project, (_, second, _) = numbered(3)
    for version in (2, 3):
        promote_version(project=project, version=version)
    retire_model(model=second)
    assert roll_back(project=project).version == 1


def test_retired_production_takes_the_token_out_of_service_until_it_is_restored(bucket: Path) -> None:
    project, (first,) = numbered(1)
    for file in first.artifacts.all():
        (bucket / file.key).parent.mkdir(parents=True, exist_ok=True)
        (bucket / file.key).write_bytes(b"abc")
    retire_model(model=first)
    assert document(bucket) == {}
    with pytest.raises(UnknownModel):
        find_served_model(project.token)
    restore_model(model=first)
    assert {*document(bucket)} == {project.token, first.token}
    assert find_served_model(project.token).model == first


def test_next_version_serves_a_project_whose_production_is_retired() -> None:
    project, (first,) = numbered(1)
    retire_model(model=first)
    second = publish(project)
    assert find_served_model(project.token).model == second


def test_deleted_version_has_no_alias(bucket: Path) -> None:
    _project, (first,) = numbered(1)
    retire_model(model=first)
    publish_waiting()
    assert clean_up().deleted == [first.token]
    assert not Alias.objects.exists()
    assert AliasMove.objects.first().kind == AliasMove.Kind.REMOVAL
    assert document(bucket) == {}


def test_deleted_project_answers_nothing_and_retires_its_versions(bucket: Path) -> None:
    project, (first, second) = numbered(2)
    delete_project(project=project)
    assert document(bucket) == {}
    for token in (project.token, first.token, second.token):
        with pytest.raises(UnknownModel):
            find_served_model(token)
    late = publish(project)
    assert late.state == RegisteredModel.State.RETIRED, "its training ended after the project was deleted"


def test_entry_that_others_remove_takes_the_token_out_of_service(bucket: Path) -> None:
    project, (first,) = numbered(1)
    found = document(bucket)
    with_age(bucket)
    (bucket / keys.INFERENCE).write_text(json.dumps({first.token: found[first.token]}))
    assert {*document(bucket)} == {first.token}
    project.refresh_from_db()
    assert project.withdrawn_at is not None
    with pytest.raises(UnknownModel):
        find_served_model(project.token)
    assert find_served_model(first.token).model == first, "the version keeps its own"
    serve_again(project=project)
    assert document(bucket) == found


def test_entry_that_comes_back_is_in_service_again(bucket: Path) -> None:
    project, (first,) = numbered(1)
    found = document(bucket)
    with_age(bucket)
    (bucket / keys.INFERENCE).write_text(json.dumps({first.token: found[first.token]}))
    publish_waiting()
    (bucket / keys.INFERENCE).write_text(json.dumps(found))
    assert document(bucket) == found
    assert find_served_model(project.token).model == first


def test_edits_of_the_project_entry_are_put_back(bucket: Path) -> None:
    project, (first,) = numbered(1)
    found = document(bucket)
    edited = {**found, project.token: {**found[project.token], "accuracy": 1.0, "version": 7, "theirs": 1}}
    (bucket / keys.INFERENCE).write_text(json.dumps(edited))
    publish_waiting()
    assert document(bucket) == {**found, project.token: {**found[project.token], "theirs": 1}}
    first.refresh_from_db()
    assert first.accuracy != 1


def with_age(bucket: Path) -> None:
    """Let the entries be older than what a writer may not have seen."""
    from documents.models import PublishedEntry

    PublishedEntry.objects.update(writes="")


def test_two_promotions_at_once_leave_one_production() -> None:
    project, _ = numbered(3)
    begun, problems = threading.Barrier(2), []

    def promote(version: int) -> None:
        try:
            begun.wait(10)
            promote_version(project=project, version=version, expected=1)
        except Conflict as error:
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=promote, args=(version,)) for version in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(problems) == 1
    assert Alias.objects.count() == 1
    assert production(project) in (2, 3)
    assert AliasMove.objects.count() == 2


STEPS = st.lists(st.sampled_from(["publish", "promote", "back", "retire", "restore"]), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, seed=st.integers(0, 1000))
def test_whatever_happens_one_version_answers_and_the_history_tells_it(steps: list[str], seed: int) -> None:
    project = ProjectFactory()
    for place, step in enumerate(steps):
        versions = list(project.versions.order_by("version"))
        chosen = versions[(seed + place) % len(versions)] if versions else None
        try:
            if step == "publish" or chosen is None:
                publish(project)
            elif step == "promote":
                promote_version(project=project, version=chosen.version)
            elif step == "back":
                roll_back(project=project)
            elif step == "retire":
                retire_model(model=chosen)
            else:
                RegisteredModel.objects.filter(pk=chosen.pk, state="retired").update(state="live")
        except InvalidRequest:
            continue
    numbers = [model.version for model in project.versions.order_by("version")]
    assert numbers == list(range(1, len(numbers) + 1))
    moves = list(project.alias_moves.order_by("id"))
    assert len(Alias.objects.filter(project=project)) <= 1
    for before, after in itertools.pairwise(moves):
        assert after.from_model_id == before.to_model_id
    alias = Alias.objects.filter(project=project, name=PRODUCTION).first()
    assert (alias.model_id if alias else None) == (moves[-1].to_model_id if moves else None)
    served = RegisteredModel.objects.answering_to(project.token)
    assert [model.pk for model in served] == ([alias.model_id] if alias and alias.model.is_serving else [])
