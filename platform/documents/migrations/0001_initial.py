from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Document',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('base', models.JSONField(default=dict, editable=False)),
                ('etag', models.CharField(blank=True, max_length=128)),
                ('revision', models.PositiveBigIntegerField(default=0)),
                ('published_at', models.DateTimeField(null=True)),
                ('last_error', models.TextField(blank=True)),
                ('failed_at', models.DateTimeField(null=True)),
                ('writer', models.CharField(blank=True, max_length=64)),
                ('writer_until', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ('key',),
            },
        ),
        migrations.CreateModel(
            name='OutboxEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('document', models.CharField(max_length=64)),
                ('entry', models.CharField(blank=True, max_length=255)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'verbose_name': 'unpublished change',
                'ordering': ('id',),
                'indexes': [models.Index(fields=['document', 'id'], name='documents_o_documen_7da643_idx')],
            },
        ),
    ]
