"""GET and POST /oauth2/authorize: a Tech admin consents for the whole company."""

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyturn.sandbox.twins.gong.integration import Integration
from keyturn.sandbox.twins.gong.people import for_tech_admins, signed_in
from keyturn.sandbox.twins.gong.state import GongState, Grant
from keyturn.sandbox.twins.pages import message, page, see_other, text
from keyturn.sandbox.twins.store import Store

_PARAMETERS = ("client_id", "response_type", "scope", "redirect_uri", "state")


class Consent:
    """The consent page. `deliver` maps an origin to where it really listens, like a line in a hosts file."""

    def __init__(self, store: Store[GongState], deliver: Mapping[str, str]) -> None:
        self._store = store
        self._deliver = deliver

    def routes(self) -> list[Route]:
        """The consent page and its form."""
        return [
            Route("/oauth2/authorize", for_tech_admins(self.show), methods=["GET"]),
            Route("/oauth2/authorize", for_tech_admins(self.decide), methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Ask the Tech admin, if the request is one that could be granted."""
        asked = {name: request.query_params.get(name, "") for name in _PARAMETERS}
        return self._refusal(asked) or self._page(request, asked)

    async def decide(self, request: Request) -> Response:
        """Send the browser back to the client with a code, or with access_denied."""
        form = await request.form()
        asked = {name: text(form, name) for name in _PARAMETERS}
        refusal = self._refusal(asked)
        if refusal is not None:
            return refusal
        if text(form, "decision") != "approve":
            return self._redirect(asked, {"error": "access_denied", "error_description": "Consent was denied"})
        with self._store.change() as state:
            scopes = asked["scope"].split() or self._client(asked).form.scopes
            grant = Grant(client_id=asked["client_id"], scopes=scopes, redirect_uri=asked["redirect_uri"])
            code = state.issue_code(grant)
        return self._redirect(asked, {"code": code})

    def _refusal(self, asked: Mapping[str, str]) -> Response | None:
        """RFC 6749 4.1.2.1: an unknown client or redirect URI is told to the person, all else to the client."""
        client = self._store.state.client(asked["client_id"])
        if client is None:
            return message("Gong", "Unknown client", "No integration has this client_id.", 400)
        if asked["redirect_uri"] not in client.form.redirect_uris:
            return message("Gong", "Redirect URI mismatch", "The redirect_uri is not registered exactly so.", 400)
        if asked["response_type"] != "code":
            return self._redirect(asked, {"error": "unsupported_response_type"})
        if not set(asked["scope"].split()) <= set(client.form.scopes):
            return self._redirect(asked, {"error": "invalid_scope", "error_description": "Not among the app's scopes"})
        return None

    def _page(self, request: Request, asked: Mapping[str, str]) -> Response:
        client = self._client(asked)
        scopes = asked["scope"].split() or client.form.scopes
        return page("gong/consent.html", person=signed_in(request), integration=client, scopes=scopes, asked=asked)

    def _client(self, asked: Mapping[str, str]) -> Integration:
        client = self._store.state.client(asked["client_id"])
        if client is None:  # _refusal has looked already
            raise LookupError("unknown client")
        return client

    def _redirect(self, asked: Mapping[str, str], answer: Mapping[str, str]) -> Response:
        parts = urlsplit(asked["redirect_uri"])
        origin = f"{parts.scheme}://{parts.netloc}"
        target = self._deliver.get(origin, origin)
        if urlsplit(target).hostname not in ("127.0.0.1", "localhost"):
            text_ = f"This twin sends no browser to {origin}. Start it with --deliver {origin}=http://127.0.0.1:PORT."
            return message("Gong", "No delivery", text_, 502)
        return see_other(f"{target}{parts.path}?{urlencode({**answer, 'state': asked['state']})}")
