"""POST /oauth2/generate-customer-token: HTTP Basic, parameters in the query string or in a form body."""

import base64
import binascii
from collections.abc import Mapping
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyturn.sandbox.twins.gong.integration import Integration, is_listed
from keyturn.sandbox.twins.gong.refusals import Refusal, TokenRefused, render
from keyturn.sandbox.twins.gong.state import CUSTOMER, GongState, Grant
from keyturn.sandbox.twins.store import Store

ACCESS_TOKEN_SECONDS = 86_400


class TokenEndpoint:
    """Exchanges codes and refresh tokens, both good for one use."""

    def __init__(self, store: Store[GongState]) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """The one endpoint."""
        return [Route("/oauth2/generate-customer-token", self.post, methods=["POST"])]

    async def post(self, request: Request) -> Response:
        """Tokens, or a refusal in the shape that `token_error_body` asks for."""
        parameters = await _parameters(request)
        try:
            answer = self._answer(request, parameters)
        except TokenRefused as refused:
            self._store.state.count("token_refusals")
            return render(refused.refusal, self._store.state.options.token_error_body)
        base = str(request.base_url).rstrip("/")
        return JSONResponse(
            {**answer, "token_type": "bearer", "api_base_url_for_customer": f"{base}/customers/{CUSTOMER}"},
            headers={"Cache-Control": "no-store"},
        )

    def _answer(self, request: Request, parameters: Mapping[str, str]) -> dict[str, object]:
        options = self._store.state.options
        shape = options.token_error_body
        if shape == "ip_rejected" and _address(request) != options.ip_rejected_except:
            raise TokenRefused(Refusal.UNTRUSTED_IP)
        if shape == "code_first":
            self._held(parameters)
        client = self._authenticate(request)
        grant = self._held(parameters)
        self._check(request, client, grant, parameters)
        return self._issue(grant, parameters)

    def _authenticate(self, request: Request) -> Integration:
        client_id, secret = _basic(request)
        state = self._store.state
        client = state.client(client_id)
        if client is None:
            raise TokenRefused(Refusal.UNKNOWN_CLIENT)
        if not client.accepts(secret, state.now(), end_graces=state.options.end_graces):
            raise TokenRefused(Refusal.WRONG_SECRET)
        return client

    def _held(self, parameters: Mapping[str, str]) -> Grant:
        """What the code or refresh token stands for, whoever presents it."""
        state = self._store.state
        match parameters.get("grant_type"):
            case "authorization_code":
                held, name, refusal = state.codes, "code", Refusal.BAD_CODE
            case "refresh_token":
                held, name, refusal = state.refresh_tokens, "refresh_token", Refusal.BAD_REFRESH_TOKEN
            case _:
                raise TokenRefused(Refusal.BAD_GRANT_TYPE)
        grant = held.get(parameters.get(name, ""))
        if grant is None or not grant.is_live(state.now()):
            raise TokenRefused(refusal)
        return grant

    def _check(self, request: Request, client: Integration, grant: Grant, parameters: Mapping[str, str]) -> None:
        """Trusted IPs are checked at refresh; client_id and redirect_uri at the exchange of a code."""
        if parameters["grant_type"] == "refresh_token":
            if grant.client_id != client.client_id:
                raise TokenRefused(Refusal.BAD_REFRESH_TOKEN)
            enforced = self._store.state.options.enforce_trusted_ips
            if enforced and not is_listed(_address(request), client.refresh_token_ips):
                raise TokenRefused(Refusal.UNTRUSTED_IP)
            return
        if parameters.get("client_id") != client.client_id or "redirect_uri" not in parameters:
            raise TokenRefused(Refusal.BAD_REQUEST)
        if (grant.client_id, grant.redirect_uri) != (client.client_id, parameters["redirect_uri"]):
            raise TokenRefused(Refusal.BAD_CODE)

    def _issue(self, grant: Grant, parameters: Mapping[str, str]) -> dict[str, object]:
        wanted = parameters.get("validity_duration", "")
        seconds = int(wanted) if wanted.isascii() and wanted.isdigit() else ACCESS_TOKEN_SECONDS
        with self._store.change() as state:
            if parameters["grant_type"] == "refresh_token":
                del state.refresh_tokens[parameters["refresh_token"]]
                state.count("refreshes")
            else:
                del state.codes[parameters["code"]]
            tokens = state.issue_tokens(grant, seconds)
            state.count("tokens_issued")
        return {**tokens.model_dump(), "expires_in": seconds, "scope": " ".join(grant.scopes)}


def _address(request: Request) -> str:
    return str(ip_address(request.client.host)) if request.client else "0.0.0.0"  # noqa: S104 - an address nobody lists


def _basic(request: Request) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise TokenRefused(Refusal.UNKNOWN_CLIENT) from None
    if scheme.lower() != "basic" or ":" not in decoded:
        raise TokenRefused(Refusal.UNKNOWN_CLIENT)
    client_id, _, secret = decoded.partition(":")
    return client_id, secret


async def _parameters(request: Request) -> dict[str, str]:
    """The query string, which Gong documents, and a form body, which others use in production."""
    form = await request.form()
    return dict(request.query_params) | {name: value for name, value in form.items() if isinstance(value, str)}
