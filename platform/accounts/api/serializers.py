"""REST serializers of API tokens; only the answer to their creation holds a whole token."""

from knox.models import AuthToken
from rest_framework import serializers

from accounts.tokens import DAYS, MOST_DAYS
from core.http.calls import RequestSerializer


class ApiTokenSerializer(serializers.ModelSerializer):
    """An API token of the caller, named by its first characters."""

    id = serializers.CharField(source="token_key", read_only=True, help_text="The token's first characters.")
    created_at = serializers.DateTimeField(source="created", read_only=True)
    expires_at = serializers.DateTimeField(source="expiry", read_only=True, allow_null=True)

    class Meta:
        model = AuthToken
        fields: tuple[str, ...] = ("id", "created_at", "expires_at")


class NewApiTokenSerializer(ApiTokenSerializer):
    """The answer to the creation of a token: the only one that holds it whole."""

    token = serializers.CharField(
        read_only=True, help_text="The whole token. Returned once: only its hash is stored."
    )

    class Meta(ApiTokenSerializer.Meta):
        fields: tuple[str, ...] = ("id", "created_at", "expires_at", "token")


class ApiTokenWishSerializer(RequestSerializer):
    """The lifetime of a new token."""

    days = serializers.IntegerField(default=DAYS, min_value=1, max_value=MOST_DAYS)
