from django.db import migrations, models
from django.db.models import Case, F, When
from django.db.models.functions import Lower


class Migration(migrations.Migration):
    dependencies = [("training", "0017_groups_of_examples")]

    operations = [
        migrations.AddField(
            model_name="example",
            name="searched",
            field=models.GeneratedField(
                db_persist=True,
                expression=Lower(Case(When(text="", then=F("place")), default=F("text"))),
                help_text="What a search looks through, in small letters: to make them for each search takes far longer.",
                output_field=models.TextField(),
            ),
        ),
    ]
