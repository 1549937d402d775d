"""What the token endpoint answers when it refuses, in each shape that Gong might plausibly use."""

from enum import Enum
from secrets import token_urlsafe
from typing import NamedTuple

from starlette.responses import JSONResponse, PlainTextResponse, Response

from keyturn.sandbox.twins.gong.options import TokenErrorBody


class Answer(NamedTuple):
    """Status, RFC 6749 code and a sentence."""

    status: int
    code: str
    sentence: str


class Refusal(Enum):
    """Why no token is issued. "Refresh token code is invalid" has been seen; the other sentences are guesses."""

    UNKNOWN_CLIENT = Answer(401, "invalid_client", "OAuth client was not found")
    WRONG_SECRET = Answer(401, "invalid_client", "Client secret is invalid")
    BAD_CODE = Answer(400, "invalid_grant", "Authorization code is invalid")
    BAD_REFRESH_TOKEN = Answer(400, "invalid_grant", "Refresh token code is invalid")
    BAD_GRANT_TYPE = Answer(400, "unsupported_grant_type", "Grant type is not supported")
    BAD_REQUEST = Answer(400, "invalid_request", "client_id or redirect_uri is missing or wrong")
    UNTRUSTED_IP = Answer(403, "access_denied", "The request comes from an IP address that is not trusted")


class TokenRefused(Exception):  # noqa: N818 - it is an answer, not an error of the twin
    """Raised where the reason is found, rendered in one place."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.name)
        self.refusal = refusal


def render(refusal: Refusal, shape: TokenErrorBody) -> Response:
    """The refusal as a response. An address is always refused in Gong's envelope: that comes before OAuth."""
    answer = refusal.value
    headers = {"WWW-Authenticate": 'Basic realm="Gong"'} if answer.status == 401 else {}  # noqa: PLR2004
    if shape == "text" and refusal is not Refusal.UNTRUSTED_IP:
        return PlainTextResponse(answer.sentence, answer.status, headers)
    if shape == "gong_envelope" or refusal is Refusal.UNTRUSTED_IP:
        return JSONResponse(envelope(answer.sentence), answer.status, headers)
    # RFC 6749 wants one answer for both halves of a wrong pair, so that client ids cannot be guessed.
    sentence = "Client authentication failed" if answer.code == "invalid_client" else answer.sentence
    return JSONResponse({"error": answer.code, "error_description": sentence}, answer.status, headers)


def envelope(*errors: str) -> dict[str, object]:
    """Gong's error envelope, for every declared 4xx and 5xx of its API."""
    return {"requestId": token_urlsafe(12), "errors": list(errors)}
