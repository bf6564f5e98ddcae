"""What the room of networks tells others."""

from django.dispatch import Signal

network_removing = Signal()  # `network`; a receiver that still needs it raises `InvalidRequest`
