import datetime
import uuid

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import core.indexes
import core.names

ALIAS_NAME = "Use 1 to 40 small letters, digits and hyphens, a letter first."
KINDS = [
    ("first", "first version"),
    ("promotion", "promoted"),
    ("policy", "promoted by the policy"),
    ("roll-back", "rolled back"),
    ("removal", "removed"),
]
TASKS = [("imageclassification", "Images"), ("textclassification", "Texts")]
POLICIES = [("manual", "by hand"), ("when-better", "by itself when it is better beyond chance")]


def key():
    return models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


def person(on_delete, **options):
    return models.ForeignKey(null=True, on_delete=on_delete, to=settings.AUTH_USER_MODEL, **options)


def link(to, on_delete=django.db.models.deletion.PROTECT, **options):
    return models.ForeignKey(on_delete=on_delete, to=f"models_registry.{to}", **options)


class Migration(migrations.Migration):
    """Make the tables; the next two give every model a project."""

    dependencies = [
        ("models_registry", "0008_names_as_people_write_them"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            "Project",
            [
                ("id", key()),
                ("created_at", models.DateTimeField(auto_now_add=True, db_index=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "public_id",
                    models.UUIDField(
                        default=uuid.uuid4,
                        editable=False,
                        help_text="Names the project in addresses: its token is the right to predict.",
                        unique=True,
                    ),
                ),
                (
                    "token",
                    models.CharField(
                        editable=False,
                        help_text="Answers with the production version.",
                        max_length=160,
                        unique=True,
                    ),
                ),
                ("name", models.CharField(max_length=100, validators=[core.names.validate_name])),
                (
                    "description",
                    models.TextField(
                        blank=True,
                        help_text="What its models are for, and what they are not for, in your own words.",
                        max_length=4000,
                    ),
                ),
                ("task_type", models.CharField(choices=TASKS, editable=False, max_length=24)),
                (
                    "policy",
                    models.CharField(
                        choices=POLICIES,
                        default="manual",
                        help_text="Of new versions.",
                        max_length=16,
                        verbose_name="promotion",
                    ),
                ),
                (
                    "retention",
                    models.DurationField(
                        blank=True,
                        help_text="How long versions that are not in production are kept; empty: as long as the "
                        "platform keeps them.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(datetime.timedelta(seconds=60))
                        ],
                    ),
                ),
                ("deleted_at", models.DateTimeField(editable=False, null=True)),
                (
                    "withdrawn_at",
                    models.DateTimeField(
                        editable=False,
                        help_text="When its token was taken out of service, as by who removes it from inference.json.",
                        null=True,
                    ),
                ),
                ("owner", person(django.db.models.deletion.PROTECT, related_name="projects")),
            ],
            {"ordering": ("-created_at",)},
        ),
        migrations.CreateModel(
            "AliasMove",
            [
                ("id", key()),
                ("name", models.CharField(max_length=40)),
                ("kind", models.CharField(choices=KINDS, max_length=12)),
                ("why", models.CharField(blank=True, max_length=500)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "by",
                    person(
                        django.db.models.deletion.SET_NULL,
                        help_text="Empty: the platform itself.",
                        related_name="+",
                    ),
                ),
                ("from_model", link("registeredmodel", null=True, related_name="+")),
                ("to_model", link("registeredmodel", null=True, related_name="+")),
                (
                    "project",
                    link("project", django.db.models.deletion.CASCADE, related_name="alias_moves"),
                ),
            ],
            {
                "verbose_name": "move of an alias",
                "verbose_name_plural": "moves of aliases",
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            "Alias",
            [
                ("id", key()),
                (
                    "name",
                    models.CharField(
                        max_length=40,
                        validators=[
                            django.core.validators.RegexValidator("^[a-z][a-z0-9-]{0,39}\\Z", ALIAS_NAME)
                        ],
                    ),
                ),
                ("moved_at", models.DateTimeField(auto_now=True)),
                ("model", link("registeredmodel", related_name="aliases")),
                ("project", link("project", django.db.models.deletion.CASCADE, related_name="aliases")),
            ],
            {"verbose_name_plural": "aliases", "ordering": ("name",)},
        ),
        migrations.AddField(
            "registeredmodel", "project", link("project", null=True, editable=False, related_name="versions")
        ),
        migrations.AddField(
            "registeredmodel",
            "version",
            models.PositiveIntegerField(
                editable=False, help_text="Counts the models of the project.", null=True
            ),
        ),
        migrations.AddField(
            "registeredmodel",
            "notes",
            models.TextField(
                blank=True,
                default="",
                help_text="What is new in this version, for who works on the project.",
                max_length=4000,
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            "registeredmodel",
            "last_used_at",
            models.DateTimeField(
                editable=False, help_text="To an hour; the use of each day is counted apart.", null=True
            ),
        ),
        migrations.AddIndex(
            "project", models.Index(fields=["owner", "-created_at"], name="models_regi_owner_i_a27ad4_idx")
        ),
        migrations.AddIndex("project", core.indexes.PrefixIndex(fields=["name"], name="project_name_start")),
        migrations.AddConstraint(
            "project",
            models.CheckConstraint(
                condition=models.Q(task_type__in=[name for name, _ in TASKS]), name="project_task_known"
            ),
        ),
        migrations.AddConstraint(
            "project",
            models.CheckConstraint(
                condition=models.Q(policy__in=[name for name, _ in POLICIES]), name="project_policy_known"
            ),
        ),
        migrations.AddIndex(
            "aliasmove", models.Index(fields=["project", "name", "-id"], name="moves_of_an_alias")
        ),
        migrations.AddConstraint(
            "alias",
            models.UniqueConstraint(fields=("project", "name"), name="alias_once_in_a_project"),
        ),
    ]
