import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('models_registry', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='WorkerHeartbeat',
            fields=[
                ('name', models.CharField(max_length=128, primary_key=True, serialize=False)),
                ('queues', models.JSONField(default=list)),
                ('started_at', models.DateTimeField()),
                ('seen_at', models.DateTimeField(db_index=True)),
                ('ready', models.BooleanField(default=False, help_text='The backbones are prepared.')),
            ],
            options={
                'verbose_name': 'worker',
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='Dataset',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True, db_index=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=100)),
                ('task_type', models.CharField(choices=[('imageclassification', 'Images'), ('textclassification', 'Texts')], max_length=24)),
                ('key', models.CharField(help_text='Where the file lies in the bucket.', max_length=400, unique=True)),
                ('original_name', models.CharField(max_length=255)),
                ('size', models.PositiveBigIntegerField(help_text='Bytes.')),
                ('sha256', models.CharField(max_length=64)),
                ('columns', models.JSONField(blank=True, default=dict, help_text='Texts: which column is the input, which the label.')),
                ('classes', models.JSONField(default=list)),
                ('examples', models.PositiveIntegerField()),
                ('report', models.JSONField(default=dict, help_text='What the validation found.')),
                ('owner', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='datasets', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'data set',
                'ordering': ('-created_at',),
            },
        ),
        migrations.CreateModel(
            name='TrainingJob',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True, db_index=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('token', models.CharField(editable=False, max_length=160, unique=True)),
                ('name', models.CharField(max_length=100, validators=[django.core.validators.RegexValidator('^[\\w -]+$', 'Use letters, digits, spaces, hyphens and underscores.')])),
                ('task_type', models.CharField(choices=[('imageclassification', 'Images'), ('textclassification', 'Texts')], max_length=24)),
                ('architecture', models.CharField(max_length=80)),
                ('strategy', models.CharField(choices=[('frozen', 'Fast: frozen backbone, new head')], default='frozen', max_length=16)),
                ('downloadable', models.BooleanField(default=True)),
                ('optimizer', models.CharField(choices=[('sgd', 'SGD'), ('adam', 'Adam')], default='adam', max_length=8)),
                ('learning_rate', models.FloatField(default=0.001, validators=[django.core.validators.MinValueValidator(1e-05), django.core.validators.MaxValueValidator(2)])),
                ('batch_size', models.PositiveIntegerField(default=32, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1024)])),
                ('epochs', models.PositiveIntegerField(default=10, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(500)])),
                ('data_split', models.CharField(default='70 : 30', max_length=9, validators=[django.core.validators.RegexValidator('^\\d{1,2} : \\d{1,2}$', 'Write it as "70 : 30": training : validation.')])),
                ('reduce_lr_on_plateau', models.JSONField(blank=True, null=True)),
                ('step_lr', models.JSONField(blank=True, null=True)),
                ('seed', models.PositiveIntegerField(default=0)),
                ('state', models.CharField(choices=[('queued', 'queued'), ('running', 'running'), ('cancelling', 'cancelling'), ('succeeded', 'succeeded'), ('failed', 'failed'), ('cancelled', 'cancelled')], default='queued', editable=False, max_length=12)),
                ('queue', models.CharField(default='cpu', editable=False, max_length=16)),
                ('attempt', models.PositiveSmallIntegerField(default=0, editable=False)),
                ('swept_attempt', models.PositiveSmallIntegerField(default=0, editable=False, help_text='Attempts up to this one have left nothing in the bucket.')),
                ('worker', models.CharField(blank=True, editable=False, max_length=128)),
                ('lease_expires_at', models.DateTimeField(editable=False, null=True)),
                ('announced_at', models.DateTimeField(editable=False, null=True)),
                ('queued_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('started_at', models.DateTimeField(editable=False, null=True)),
                ('finished_at', models.DateTimeField(editable=False, null=True)),
                ('progress', models.JSONField(default=dict, editable=False)),
                ('log_tail', models.TextField(blank=True, editable=False)),
                ('error', models.TextField(blank=True, editable=False)),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='jobs', to='training.dataset')),
                ('owner', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='training_jobs', to=settings.AUTH_USER_MODEL)),
                ('registered_model', models.OneToOneField(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='training_job', to='models_registry.registeredmodel')),
            ],
            options={
                'verbose_name': 'training job',
                'ordering': ('-created_at',),
            },
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['owner', '-created_at'], name='training_da_owner_i_a808d4_idx'),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(('task_type__in', ['imageclassification', 'textclassification'])), name='dataset_task_known'),
        ),
        migrations.AddIndex(
            model_name='trainingjob',
            index=models.Index(fields=['state', 'queued_at'], name='training_tr_state_31e7d4_idx'),
        ),
        migrations.AddIndex(
            model_name='trainingjob',
            index=models.Index(fields=['owner', '-created_at'], name='training_tr_owner_i_af016f_idx'),
        ),
        migrations.AddIndex(
            model_name='trainingjob',
            index=models.Index(condition=models.Q(('attempt__gt', models.F('swept_attempt'))), fields=['id'], name='job_unswept'),
        ),
        migrations.AddConstraint(
            model_name='trainingjob',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled'])), name='job_state_known'),
        ),
        migrations.AddConstraint(
            model_name='trainingjob',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('registered_model__isnull', False), ('state', 'succeeded')), models.Q(models.Q(('state', 'succeeded'), _negated=True), ('registered_model__isnull', True)), _connector='OR'), name='job_succeeded_has_model'),
        ),
        migrations.AddConstraint(
            model_name='trainingjob',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['running', 'cancelling']), _negated=True), ('lease_expires_at__isnull', False), _connector='OR'), name='job_held_has_lease'),
        ),
        migrations.AddConstraint(
            model_name='trainingjob',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', True), ('state__in', ['queued', 'running', 'cancelling'])), models.Q(('finished_at__isnull', False), ('state__in', ['succeeded', 'failed', 'cancelled'])), _connector='OR'), name='job_final_has_end'),
        ),
    ]
