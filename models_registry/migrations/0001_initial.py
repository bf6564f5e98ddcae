import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='RegisteredModel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True, db_index=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('token', models.CharField(editable=False, max_length=160, unique=True)),
                ('name', models.CharField(max_length=100, validators=[django.core.validators.RegexValidator('^[\\w -]+$', 'Use letters, digits, spaces, hyphens and underscores.')])),
                ('task_type', models.CharField(choices=[('imageclassification', 'Images'), ('textclassification', 'Texts')], editable=False, max_length=24)),
                ('architecture', models.CharField(editable=False, max_length=80)),
                ('strategy', models.CharField(editable=False, max_length=16)),
                ('classes', models.JSONField(default=list, editable=False)),
                ('state', models.CharField(choices=[('live', 'live'), ('retired', 'retired'), ('deleting', 'being deleted'), ('deleted', 'deleted')], default='live', editable=False, max_length=12)),
                ('downloadable', models.BooleanField(default=True, help_text='Whoever has the token may download the files.')),
                ('pinned', models.BooleanField(default=False, help_text='Never expires.')),
                ('accuracy', models.FloatField(editable=False, help_text='Percent of the validation part.')),
                ('accuracy_plot', models.TextField(blank=True, editable=False)),
                ('metrics', models.JSONField(default=dict, editable=False)),
                ('live_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('expires_at', models.DateTimeField(blank=True, help_text='Empty: never.', null=True)),
                ('retired_at', models.DateTimeField(editable=False, null=True)),
                ('owner', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='registered_models', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'model',
                'ordering': ('-created_at',),
            },
        ),
        migrations.CreateModel(
            name='Artifact',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('onnx', 'ONNX'), ('torchscript', 'PyTorch (TorchScript)'), ('metadata', 'metadata')], max_length=16)),
                ('key', models.CharField(max_length=400, unique=True)),
                ('size', models.PositiveBigIntegerField(help_text='Bytes.')),
                ('sha256', models.CharField(max_length=64, validators=[django.core.validators.RegexValidator('^[0-9a-f]{64}$')])),
                ('model', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='artifacts', to='models_registry.registeredmodel')),
            ],
            options={
                'ordering': ('kind',),
            },
        ),
        migrations.AddIndex(
            model_name='registeredmodel',
            index=models.Index(fields=['state', 'expires_at'], name='models_regi_state_1b0d0b_idx'),
        ),
        migrations.AddIndex(
            model_name='registeredmodel',
            index=models.Index(fields=['owner', '-created_at'], name='models_regi_owner_i_134e0f_idx'),
        ),
        migrations.AddConstraint(
            model_name='registeredmodel',
            constraint=models.CheckConstraint(condition=models.Q(('accuracy__gte', 0), ('accuracy__lte', 100)), name='accuracy_is_percent'),
        ),
        migrations.AddConstraint(
            model_name='registeredmodel',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['live', 'retired', 'deleting', 'deleted'])), name='model_state_known'),
        ),
        migrations.AddConstraint(
            model_name='registeredmodel',
            constraint=models.CheckConstraint(condition=models.Q(('task_type__in', ['imageclassification', 'textclassification'])), name='model_task_known'),
        ),
        migrations.AddConstraint(
            model_name='artifact',
            constraint=models.UniqueConstraint(fields=('model', 'kind'), name='one_artifact_of_a_kind'),
        ),
    ]
