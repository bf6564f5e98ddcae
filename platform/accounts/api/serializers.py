"""How API tokens look over REST: never again as they were when they were made."""

from knox.models import AuthToken
from rest_framework import serializers

from accounts.tokens import DAYS, MOST_DAYS


class ApiTokenSerializer(serializers.ModelSerializer):
    """A token of the caller's, by its first characters."""

    id = serializers.CharField(source="token_key", read_only=True, help_text="How the token begins.")
    created_at = serializers.DateTimeField(source="created", read_only=True)
    expires_at = serializers.DateTimeField(source="expiry", read_only=True, allow_null=True)

    class Meta:
        model = AuthToken
        fields: tuple[str, ...] = ("id", "created_at", "expires_at")


class NewApiTokenSerializer(ApiTokenSerializer):
    """A token that was just made."""

    token = serializers.CharField(read_only=True, help_text="Shown this once: only its hash is kept.")

    class Meta(ApiTokenSerializer.Meta):
        fields: tuple[str, ...] = ("id", "created_at", "expires_at", "token")


class ApiTokenWishSerializer(serializers.Serializer):
    """For how long a token is to be good."""

    days = serializers.IntegerField(default=DAYS, min_value=1, max_value=MOST_DAYS)
