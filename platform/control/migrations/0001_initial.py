import datetime
import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='CleanupPolicy',
            fields=[
                ('id', models.PositiveSmallIntegerField(editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('active', 'active: delete expired models'), ('sleeping', 'sleeping: delete nothing')], default='active', max_length=16)),
                ('retention', models.DurationField(blank=True, default=datetime.timedelta(seconds=7200), help_text='How long a new model lives, as [days] hh:mm:ss; empty: for ever. Changing it leaves the expiry of existing models as it is. Pinned models never expire.', null=True, validators=[django.core.validators.MinValueValidator(datetime.timedelta(seconds=60))])),
            ],
            options={
                'verbose_name': 'clean-up policy',
                'verbose_name_plural': 'clean-up policy',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='one_cleanup_policy'), models.CheckConstraint(condition=models.Q(('status__in', ['active', 'sleeping'])), name='cleanup_status_known')],
            },
        ),
        migrations.CreateModel(
            name='PlatformStatus',
            fields=[
                ('id', models.PositiveSmallIntegerField(editable=False, primary_key=True, serialize=False)),
                ('dev_mode', models.BooleanField(default=False, help_text='Halts everything: no submission, no start of a job, no prediction, no clean-up. `dev_mode` in status.json.', verbose_name='maintenance mode')),
                ('queue_while_active', models.BooleanField(default=True, help_text='Off: submissions are refused while a job runs, as older clients of status.json expect.', verbose_name='queue submissions while a job runs')),
            ],
            options={
                'verbose_name': 'platform status',
                'verbose_name_plural': 'platform status',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='one_platform_status')],
            },
        ),
    ]
