"""Questions about the switches."""

from core.exceptions import MaintenanceMode

from .models import PlatformStatus


def is_halted() -> bool:
    """Tell whether maintenance mode is on."""
    return PlatformStatus.objects.filter(dev_mode=True).exists()


def require_operation() -> None:
    """Raise `MaintenanceMode` while the platform is halted."""
    if is_halted():
        raise MaintenanceMode
