"""Rows for the tests."""

from datetime import timedelta

import factory
from django.utils import timezone

from accounts.models import User
from evaluations.models import Evaluation
from inference.batches.models import Batch
from models_registry.models import Artifact, Project, RegisteredModel, TaskType
from models_registry.tokens import new_token
from training.datasets.models import Dataset, DatasetValidation
from training.jobs.models import TrainingJob
from training.networks.models import HubNetwork, NetworkFetch


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda number: f"user{number}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.org")
    password = factory.django.Password("a good passphrase")


class ProjectFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Project

    name = "Flowers"
    task_type = TaskType.IMAGE
    token = factory.LazyAttribute(lambda project: new_token(project.task_type, project.name))
    owner = factory.SubFactory(UserFactory)


class RegisteredModelFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = RegisteredModel
        skip_postgeneration_save = True

    name = "Flowers"
    task_type = TaskType.IMAGE
    token = factory.LazyAttribute(lambda model: new_token(model.task_type, model.name))
    owner = factory.SubFactory(UserFactory)
    project = factory.SubFactory(
        ProjectFactory,
        name=factory.SelfAttribute("..name"),
        task_type=factory.SelfAttribute("..task_type"),
        owner=factory.SelfAttribute("..owner"),
    )
    version = factory.LazyAttribute(lambda model: model.project.versions.count() + 1)
    architecture = "efficientnet lite0"
    strategy = "frozen"
    classes = ["daisy", "iris"]
    accuracy = 96.25
    accuracy_plot = "iVBORw0KGgo="
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(hours=2))


class ArtifactFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Artifact

    model = factory.SubFactory(RegisteredModelFactory)
    kind = Artifact.Kind.ONNX
    key = factory.LazyAttribute(lambda file: f"{file.model.task_type}/{file.model.token}/1/model.{file.kind}")
    size = 3
    sha256 = "0" * 64


class DatasetFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Dataset

    name = "Flowers"
    owner = factory.SubFactory(UserFactory)
    task_type = TaskType.IMAGE
    key = factory.Sequence(lambda number: f"training/datasets/{number}/dataset.zip")
    original_name = "flowers.zip"
    size = 10
    sha256 = "0" * 64
    classes = ["daisy", "iris"]
    examples = 4


class DatasetValidationFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = DatasetValidation

    dataset = factory.SubFactory(DatasetFactory, state="validating", classes=[], examples=0)


class HubNetworkFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = HubNetwork

    name = factory.Sequence(lambda number: f"hf/somebody/net{number}")
    task_type = TaskType.TEXT


class NetworkFetchFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = NetworkFetch

    network = factory.SubFactory(HubNetworkFactory)


class TrainingJobFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = TrainingJob

    name = "Flowers"
    dataset = factory.SubFactory(DatasetFactory)
    owner = factory.SelfAttribute("dataset.owner")
    task_type = factory.SelfAttribute("dataset.task_type")
    project = factory.LazyAttribute(
        lambda job: (
            job.registered_model.project
            if getattr(job, "registered_model", None)
            else ProjectFactory(name=job.name, task_type=job.task_type, owner=job.owner)
        )
    )
    token = factory.LazyAttribute(lambda job: new_token(job.task_type, job.name))
    architecture = "efficientnet lite0"


class BatchFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Batch

    model = factory.SubFactory(RegisteredModelFactory)
    owner = factory.SubFactory(UserFactory)
    source_name = "questions.csv"
    suffix = ".csv"
    size = 10
    sha256 = "0" * 64
    total = 4


class EvaluationFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Evaluation

    model = factory.SubFactory(RegisteredModelFactory)
    project = factory.SelfAttribute("model.project")
    basis = Evaluation.Basis.TEST
