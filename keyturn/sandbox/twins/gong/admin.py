"""The Admin center: Settings > Ecosystem > API > INTEGRATIONS, with Gong's labels. Form fields: see the package."""

from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyturn.sandbox.twins.gong.integration import (
    DEFAULT_GRACE_HOURS,
    MAX_GRACE_HOURS,
    Form,
    Integration,
    malformed,
)
from keyturn.sandbox.twins.gong.people import for_anybody_signed_in, for_tech_admins, signed_in
from keyturn.sandbox.twins.gong.scopes import SCOPES
from keyturn.sandbox.twins.gong.state import GongState
from keyturn.sandbox.twins.pages import lines, many, page, see_other, text
from keyturn.sandbox.twins.store import Store

API = "/admin/ecosystem/api"
INTEGRATIONS = f"{API}/integrations"
_LABELS = {"name": "Integration name", "scopes": "Required authorization scopes", "redirect_uris": "Redirect URI(s)"}


class AdminCenter:
    """The pages on which a person creates, edits and rotates integrations."""

    def __init__(self, store: Store[GongState], first_secret: str | None) -> None:
        self._store = store
        self._first_secret = first_secret

    def routes(self) -> list[Route]:
        """All pages of the Admin center."""
        one = INTEGRATIONS + "/{integration_id}"
        return [
            Route("/admin", for_anybody_signed_in(self.home)),
            Route("/admin/ecosystem", for_anybody_signed_in(self.ecosystem)),
            Route(API, for_tech_admins(self.api_keys)),
            Route(INTEGRATIONS, for_tech_admins(self.listing), methods=["GET"]),
            Route(INTEGRATIONS, for_tech_admins(self.create), methods=["POST"]),
            Route(f"{INTEGRATIONS}/new", for_tech_admins(self.new)),
            Route(f"{one}/show-secret", for_tech_admins(self.show_secret), methods=["POST"]),
            Route(f"{one}/edit", for_tech_admins(self.edit), methods=["GET", "POST"]),
            Route(f"{one}/credentials", for_tech_admins(self.credentials)),
            Route(f"{one}/rotate-secret", for_tech_admins(self.rotate_secret), methods=["POST"]),
            Route(f"{one}/trusted-ips", for_tech_admins(self.trusted_ips), methods=["GET", "POST"]),
            Route(f"{one}/delete", for_tech_admins(self.delete), methods=["POST"]),
        ]

    async def home(self, request: Request) -> Response:
        """Admin center."""
        return page("gong/admin.html", person=signed_in(request), level="home")

    async def ecosystem(self, request: Request) -> Response:
        """Admin center > Ecosystem."""
        return page("gong/admin.html", person=signed_in(request), level="ecosystem")

    async def api_keys(self, request: Request) -> Response:
        """Admin center > Ecosystem > API, first tab."""
        return page("gong/admin.html", person=signed_in(request), level="api")

    async def listing(self, request: Request) -> Response:
        """The tab INTEGRATIONS."""
        return self._list(request)

    async def new(self, request: Request) -> Response:
        """The empty form."""
        return self._form(request, None, {})

    async def create(self, request: Request) -> Response:
        """Save the form as a new integration."""
        fields = await _fields(request)
        faults = _faults(fields)
        if faults:
            return self._form(request, None, fields, faults)
        with self._store.change() as state:
            person = signed_in(request)
            state.create_integration(Form.model_validate(fields), person.name if person else "", self._first_secret)
        return see_other(INTEGRATIONS)

    async def show_secret(self, request: Request) -> Response:
        """The list with one secret readable. A rotated secret was shown at its rotation and is not shown again."""
        integration = self._integration(request)
        newest = integration.secrets[-1]
        once = newest.from_rotation or self._store.state.options.shows_once
        if once and newest.times_shown:
            return self._list(request, notice="This secret has been shown. Rotate the secret to get a new one.")
        with self._store.change() as state:
            newest.times_shown += 1
            state.count("secrets_shown")
        return self._list(request, shown=(integration.id, newest.value))

    async def edit(self, request: Request) -> Response:
        """More actions > Edit: the same form, filled in. Client ID and secret stay."""
        integration = self._integration(request)
        if request.method == "GET":
            return self._form(request, integration, integration.form.model_dump())
        fields = {**integration.form.model_dump(), **await _fields(request)}
        faults = _faults(fields)
        if faults:
            return self._form(request, integration, fields, faults)
        with self._store.change():
            integration.form = Form.model_validate(fields)
        return see_other(INTEGRATIONS)

    async def credentials(self, request: Request) -> Response:
        """More actions > Edit > Credentials."""
        return self._credentials(request)

    async def rotate_secret(self, request: Request) -> Response:
        """Rotate the secret and show the new one, this once."""
        form = await request.form()
        hours = text(form, "grace_hours")
        if not (hours.isascii() and hours.isdigit() and int(hours) <= MAX_GRACE_HOURS):
            return self._credentials(request, fault=f"The grace period is 0 to {MAX_GRACE_HOURS} whole hours.")
        if text(form, "confirm") != "yes":
            return self._credentials(request, fault="Tick “I confirm rotation” first.")
        with self._store.change() as state:
            new = self._integration(request).rotate(int(hours), state.now())
            new.times_shown = 1
            state.count("rotations")
        return self._credentials(request, new_secret=new.value)

    async def trusted_ips(self, request: Request) -> Response:
        """More actions > Edit trusted IPs: two lists, checked on save."""
        integration = self._integration(request)
        access, refresh = integration.access_token_ips, integration.refresh_token_ips
        if request.method == "GET":
            return self._trusted_ips(request, access, refresh)
        form = await request.form()
        access, refresh = lines(form, "access_token_ips"), lines(form, "refresh_token_ips")
        wrong = malformed(access + refresh)
        if wrong:
            return self._trusted_ips(request, access, refresh, wrong)
        with self._store.change():
            integration.access_token_ips, integration.refresh_token_ips = access, refresh
        return see_other(INTEGRATIONS)

    async def delete(self, request: Request) -> Response:
        """More actions > Delete."""
        integration = self._integration(request)
        with self._store.change() as state:
            state.delete_integration(integration)
        return see_other(INTEGRATIONS)

    def _integration(self, request: Request) -> Integration:
        found = self._store.state.integration(request.path_params["integration_id"])
        if found is None:
            raise HTTPException(404, "No such integration")
        return found

    def _list(self, request: Request, shown: tuple[str, str] | None = None, notice: str = "") -> Response:
        integrations = self._store.state.integrations
        person = signed_in(request)
        return page("gong/integrations.html", person=person, integrations=integrations, shown=shown, notice=notice)

    def _form(
        self, request: Request, integration: Integration | None, fields: dict[str, object], faults: tuple[str, ...] = ()
    ) -> Response:
        values = {"fields": fields, "faults": faults, "scopes": SCOPES, "integration": integration}
        return page("gong/integration_form.html", 422 if faults else 200, person=signed_in(request), **values)

    def _credentials(self, request: Request, fault: str = "", new_secret: str = "") -> Response:
        integration = self._integration(request)
        return page(
            "gong/credentials.html",
            422 if fault else 200,
            person=signed_in(request),
            integration=integration,
            grace_ends_at=integration.grace_ends_at(self._store.state.now()),
            default_hours=DEFAULT_GRACE_HOURS,
            max_hours=MAX_GRACE_HOURS,
            fault=fault,
            new_secret=new_secret,
        )

    def _trusted_ips(
        self, request: Request, access: list[str], refresh: list[str], wrong: tuple[str, ...] | list[str] = ()
    ) -> Response:
        values = {"access": access, "refresh": refresh, "wrong": wrong, "integration": self._integration(request)}
        return page("gong/trusted_ips.html", 422 if wrong else 200, person=signed_in(request), **values)


async def _fields(request: Request) -> dict[str, object]:
    """The form's fields; of a logo only the file's name is kept."""
    single = ("name", "description", "short_description", "privacy_policy_url", "terms_url", "help_url")
    async with request.form() as form:
        fields: dict[str, object] = {name: text(form, name) for name in (*single, "authorization_page_url")}
        fields |= {name: lines(form, name) for name in ("redirect_uris", "contact_emails", "domains")}
        logos = {name: form.get(name) for name in ("logo_small", "logo_large")}
        sent = {name: file.filename for name, file in logos.items() if isinstance(file, UploadFile)}
        return fields | {"scopes": many(form, "scopes")} | {name: file for name, file in sent.items() if file}


def _faults(fields: dict[str, object]) -> tuple[str, ...]:
    scopes = fields["scopes"]
    unknown = [f"Unknown scope: {scope}" for scope in scopes if scope not in SCOPES] if isinstance(scopes, list) else []
    try:
        Form.model_validate(fields)
    except ValidationError as error:
        missing = [str(fault["loc"][0]) for fault in error.errors()]
        return (*(f"{_LABELS.get(name, name)} is required." for name in missing), *unknown)
    return tuple(unknown)
