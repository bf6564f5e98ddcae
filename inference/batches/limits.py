"""How much a batch may hold."""

from django.conf import settings

from models_registry.inputs import Limits


def limits() -> Limits:
    """Return the limits of the settings, as readers take them."""
    most = settings.TRAINYARD
    return Limits(
        max_bytes=most["MAX_BATCH_UNPACKED_BYTES"],
        max_entries=2 * most["MAX_BATCH_INPUTS"],  # folders and what file managers leave behind count too
        max_entry_bytes=most["MAX_PREDICT_BYTES"],
        max_archive_pixels=most["MAX_ARCHIVE_PIXELS"],
        max_rows=most["MAX_BATCH_INPUTS"],
        max_field_chars=most["MAX_TEXT_CHARS"],
    )
