"""Application configuration."""

from django.apps import AppConfig


class InferenceConfig(AppConfig):
    """Predictions by token: one at a time, in batches, and how often."""

    name = "inference"
    verbose_name = "Inference"

    def ready(self) -> None:
        from control.upkeep import register_upkeep
        from documents.drift import register_files

        from .batches.files import BATCHES, known_files
        from .batches.upkeep import keep_batches_going
        from .statistics import delete_old_usage

        register_upkeep(keep_batches_going)
        register_upkeep(delete_old_usage)
        register_files(BATCHES, known_files)
