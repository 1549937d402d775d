"""StackOne as an OAuth client of Gong: exchange, refresh, and calls at the customer's base URL."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from pydantic import BaseModel, Field

from keyturn.sandbox.twins.stackone.state import StoredProfile

REDIRECT_URI = "https://api.stackone.com/connect/oauth2/gong/callback"
_TIMEOUT_SECONDS = 20


class TokenAnswer(BaseModel):
    """What the token endpoint gave."""

    access_token: str = Field(repr=False)
    refresh_token: str = Field(repr=False)
    expires_in: int
    api_base_url_for_customer: str

    def ends_at(self, now: datetime) -> datetime:
        """When the access token ends."""
        return now + timedelta(seconds=self.expires_in)


class OAuthRefused(Exception):  # noqa: N818 - it is an answer, not an error of the twin
    """The provider gave no tokens; `code` as in RFC 6749 where the provider said so.

    `passing` if it was no judgement: no answer, 429 or 5xx.
    """

    def __init__(self, code: str, description: str, *, passing: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.description = description
        self.passing = passing


class Provider:
    """Gong, seen from StackOne. `egress_ip` is the address that Gong sees as StackOne's."""

    def __init__(self, gong_url: str, egress_ip: str) -> None:
        self._gong_url = gong_url.rstrip("/")
        transport = httpx.AsyncHTTPTransport(local_address=egress_ip)
        # trust_env off: a proxy has no business between two servers on one machine.
        self._http = httpx.AsyncClient(transport=transport, timeout=_TIMEOUT_SECONDS, trust_env=False)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def authorize_url(self, profile: StoredProfile, oauth_state: str) -> str:
        """Where the browser is sent for consent."""
        query = {
            "client_id": profile.client_id,
            "response_type": "code",
            "scope": profile.scopes_wanted(),
            "redirect_uri": REDIRECT_URI,
            "state": oauth_state,
        }
        return f"{self._gong_url}/oauth2/authorize?{urlencode(query)}"

    async def exchange(self, profile: StoredProfile, code: str) -> TokenAnswer:
        """Tokens for a code. Raises OAuthRefused."""
        client = {"client_id": profile.client_id, "redirect_uri": REDIRECT_URI}
        return await self._token(profile, {"grant_type": "authorization_code", "code": code, **client})

    async def refresh(self, profile: StoredProfile, refresh_token: str) -> TokenAnswer:
        """Tokens for a refresh token, which is spent by it. Raises OAuthRefused."""
        return await self._token(profile, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    def at_gong(self, api_base_url: str) -> str:
        """A customer's base URL, at the port where the twin of Gong listens since the sandbox was last started."""
        return self._gong_url + urlsplit(api_base_url).path

    async def get(self, url: str, access_token: str, query: dict[str, str], patience_seconds: int) -> httpx.Response:
        """GET with a bearer token; 429 is retried as long as Retry-After fits into the patience."""
        while True:
            response = await self._http.get(url, params=query, headers={"Authorization": f"Bearer {access_token}"})
            wait = int(response.headers.get("Retry-After", "1"))
            patience_seconds -= wait
            if response.status_code != httpx.codes.TOO_MANY_REQUESTS or patience_seconds < 0:
                return response
            await asyncio.sleep(wait)

    async def _token(self, profile: StoredProfile, parameters: dict[str, str]) -> TokenAnswer:
        url = f"{self._gong_url}/oauth2/generate-customer-token"
        # A form body, not the query string: httpx and others log URLs.
        try:
            response = await self._http.post(url, data=parameters, auth=(profile.client_id, profile.client_secret))
        except httpx.HTTPError as error:
            raise OAuthRefused("provider_unreachable", type(error).__name__, passing=True) from None
        if not response.is_success:
            raise _refused(response)
        return TokenAnswer.model_validate_json(response.content)


def _refused(response: httpx.Response) -> OAuthRefused:
    try:
        body: Any = response.json()
    except ValueError:
        body = {}
    fields = body if isinstance(body, dict) else {}
    code = str(fields.get("error") or "token_request_failed")
    description = str(fields.get("error_description") or f"The provider answered {response.status_code}")
    passing = response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS
    return OAuthRefused(code, description, passing=passing)
