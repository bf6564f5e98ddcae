"""Predict by token over REST: one view for photos and texts, for every option and every error."""

from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import UnsupportedMediaType, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from core.exceptions import InvalidRequest
from core.http.admission import claimed_bytes
from core.http.calls import FORM_TOKEN, unread
from core.http.multipart_forms import FormPart, read_form
from core.http.parsers import TextsParser
from core.http.problems import problem_of, problem_response
from core.http.throttles import PerAddressPredict, PerModelToken

from ..predict.admission import require_model
from ..predict.services import Answer, explain, predict
from .serializers import (
    AnswerSerializer,
    HowToPredictSerializer,
    PredictFilesSerializer,
    PredictTextsSerializer,
    answer_json,
)

METHODS = "POST, OPTIONS"  # as REST framework names them in every answer
MULTIPART, FORM, JSON = (parser.media_type for parser in (MultiPartParser, FormParser, TextsParser))
INPUTS = {"file": True, "texts": True}
ANYTHING = ("", "*/*", JSON)  # headers `Accept` that need no look at what they weigh


class PredictView(APIView):
    """Predict by token: the token is the right to do so, no account is needed.

    REST framework describes this view, and answers what is no prediction (`OPTIONS`, 405). The prediction itself is
    plain Django: REST framework's way around a request takes longer than everything else beside the network.
    """

    authentication_classes = ()
    permission_classes = (AllowAny,)
    parser_classes = (MultiPartParser, FormParser, TextsParser)
    throttle_classes = (PerModelToken, PerAddressPredict)

    def admit(self, request: Request, token: str) -> None:
        """Refuse uploads for unknown tokens from the request's head."""
        require_model(token)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer a prediction, or why there is none."""
        if request.method != "POST":
            return super().dispatch(request, *args, **kwargs)
        try:
            response = self.post(request, **kwargs)
        except Exception as error:
            found = problem_of(error)
            if found is None:
                raise
            response = problem_response(found)
        response.headers["Allow"] = METHODS
        return response

    @extend_schema(
        request={
            MULTIPART: PredictFilesSerializer,
            JSON: PredictTextsSerializer,
            FORM: PredictTextsSerializer,
        },
        parameters=[HowToPredictSerializer],
        responses=AnswerSerializer,
    )
    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        """Classify image files (multipart `file`) or texts (JSON `{"texts": […]}`); with `explain=1`, say why."""
        media_type = _accepted(request)
        self.check_throttles(request)  # type: ignore[arg-type]
        answer = _service(request)(token=token, inputs=_inputs(request))
        body = JSONRenderer().render(answer_json(answer), media_type)
        return HttpResponse(body, content_type=JSON, headers={"Content-Length": str(len(body))})


def _accepted(request: HttpRequest) -> str:
    """Return as which media type the answer is wanted. Raises `NotAcceptable`."""
    accept = request.META.get("HTTP_ACCEPT", "")
    if accept in ANYTHING:
        return JSON
    _, media_type = DefaultContentNegotiation().select_renderer(Request(request), [JSONRenderer()])
    return media_type


def _service(request: HttpRequest) -> Callable[..., Answer]:
    """Return what answers, as the address asks. Raises `ValidationError`."""
    if not request.META.get("QUERY_STRING"):
        return predict
    wish = HowToPredictSerializer(data=request.GET)
    wish.is_valid(raise_exception=True)
    return explain if wish.validated_data["explain"] else predict


def _inputs(request: HttpRequest) -> Sequence[bytes | str]:
    """Return the files or the texts of a body. Raises `InvalidRequest`, `UnsupportedMediaType`, `ParseError`."""
    if request.content_type != MULTIPART:
        return _texts(_fields(request))
    parts = read_form(request) if claimed_bytes(request) else []
    _require_known({part.name: part for part in parts})
    odd = next(
        (part for part in parts if part.content and (part.name == "file") != bool(part.filename)), None
    )
    if odd is not None and odd.name != FORM_TOKEN:
        raise InvalidRequest(
            "`file` takes files, as in curl's -F file=@photo.jpg."
            if odd.name == "file"
            else "`texts` takes texts; send a file of them as a batch."
        )
    files = [part for part in parts if part.name == "file" and part.filename]
    texts = [part.text for part in parts if part.name == "texts"]
    if files and texts:
        raise InvalidRequest("Send files or texts, not both.")
    return _contents(files) if files else texts


def _require_known(sent: Mapping[str, object]) -> None:
    """Refuse what is neither texts nor files, and an option that belongs into the address. Raises `ValidationError`."""
    problems = unread(sent, INPUTS)
    if problems:
        problems |= {
            name: [f"This goes into the address: ?{name}=1."] for name in problems.keys() & {"explain"}
        }
        raise ValidationError(problems)


def _contents(files: Sequence[FormPart]) -> list[bytes]:
    limit = settings.TRAINYARD["MAX_PREDICT_BYTES"]
    if sum(len(file.content) for file in files) > limit:
        raise InvalidRequest(f"The files of one call may have {limit // 2**20} MB together.")
    return [file.content for file in files]


def _fields(request: HttpRequest) -> object:
    """Return what a body without files holds."""
    is_form = request.content_type == FORM
    if not claimed_bytes(request):
        return QueryDict() if is_form else {}
    body = cast("IO[bytes]", request)
    if is_form:
        return FormParser().parse(body, FORM, {"encoding": request.encoding or settings.DEFAULT_CHARSET})
    if request.content_type == JSON:
        return TextsParser().parse(body, JSON)
    raise UnsupportedMediaType(request.META.get("CONTENT_TYPE", ""))


def _texts(sent: object) -> list[str]:
    if not isinstance(sent, dict):
        raise InvalidRequest('Send JSON like {"texts": ["…"]}, or image files as multipart `file`.')
    _require_known(sent)
    texts = sent.getlist("texts") if isinstance(sent, QueryDict) else sent.get("texts")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidRequest(
            'Send {"texts": ["…", …]}, a list of strings, or image files as multipart `file`.'
        )
    return texts
