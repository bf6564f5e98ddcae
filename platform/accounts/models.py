"""The user of the platform: Django's own, kept as a table of ours so that it can grow."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """Signs in by name or by e-mail address."""

    @property
    def is_operator(self) -> bool:
        """Whether this person may see and steer what belongs to others, on the users' pages too.

        Staff who may only look do so in the admin.
        """
        return self.is_staff and self.has_perms(
            ("models_registry.change_registeredmodel", "training.change_trainingjob")
        )
