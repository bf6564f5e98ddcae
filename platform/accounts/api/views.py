"""REST views of API tokens: make one with a password or a session, list them, revoke them."""

from django.http import Http404
from knox.models import AuthToken
from rest_framework import status
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiTokenAuthentication, PasswordAuthentication
from accounts.tokens import good_tokens, make_token, revoke_token
from core.http.calls import described

from ..requests import signed_in
from .serializers import ApiTokenSerializer, ApiTokenWishSerializer, NewApiTokenSerializer


class ApiTokensView(APIView):
    """The caller's API tokens."""

    authentication_classes = (ApiTokenAuthentication, SessionAuthentication, PasswordAuthentication)

    @described(responses=ApiTokenSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List the caller's tokens that have not expired, newest first, each by its first characters."""
        return Response(ApiTokenSerializer(good_tokens(signed_in(request.user)), many=True).data)

    @described(request=ApiTokenWishSerializer, responses={201: NewApiTokenSerializer})
    def post(self, request: Request) -> Response:
        """Create a token. Needs a password or a session: a token cannot create another one.

        Returns the token, in this answer only. 400: the caller has the most tokens allowed; 403: the request was
        authenticated by a token.
        """
        if isinstance(request.auth, AuthToken):
            raise PermissionDenied("Sign in, or send your name and password, to make an API token.")
        wish = ApiTokenWishSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        made, token = make_token(user=signed_in(request.user), days=wish.validated_data["days"])
        made.token = token
        return Response(NewApiTokenSerializer(made).data, status=status.HTTP_201_CREATED)


class ApiTokenView(APIView):
    """One API token of the caller's."""

    authentication_classes = ApiTokensView.authentication_classes

    @described(responses={204: None})
    def delete(self, request: Request, id: str) -> Response:  # noqa: A002 - the address's word
        """Revoke a token: requests with it are refused from now on. 404: the caller has no such token."""
        if not revoke_token(user=signed_in(request.user), key=id):
            raise Http404
        return Response(status=status.HTTP_204_NO_CONTENT)
