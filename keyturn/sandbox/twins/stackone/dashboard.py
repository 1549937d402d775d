"""The dashboard: Connector Profiles and linked accounts, with the guide's labels. Form fields: see the package."""

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyturn.sandbox.twins.pages import many, page, see_other, text
from keyturn.sandbox.twins.stackone.accounts import Accounts
from keyturn.sandbox.twins.stackone.catalogue import CONNECTORS, GONG_ACTIONS, Connector
from keyturn.sandbox.twins.stackone.people import for_members, for_project_admins, signed_in
from keyturn.sandbox.twins.stackone.state import ProfileFields, StackOneState, StoredProfile
from keyturn.sandbox.twins.store import Store

PROFILES = "/dashboard/connector-profiles"


class Dashboard:
    """The pages on which a Project Admin creates and edits profiles."""

    def __init__(self, store: Store[StackOneState], accounts: Accounts) -> None:
        self._store = store
        self._accounts = accounts

    def routes(self) -> list[Route]:
        """All pages of the dashboard."""
        one = PROFILES + "/{profile_id}"
        return [
            Route("/dashboard", for_members(self.profiles)),
            Route("/dashboard/accounts", for_members(self.linked_accounts)),
            Route(PROFILES, for_members(self.profiles), methods=["GET"]),
            Route(PROFILES, for_project_admins(self.create), methods=["POST"]),
            Route(f"{PROFILES}/new", for_project_admins(self.new)),
            Route(f"{one}/edit", for_project_admins(self.edit), methods=["GET", "POST"]),
            Route(f"{one}/enable", for_project_admins(self.enable), methods=["POST"]),
            Route(f"{one}/disable", for_project_admins(self.disable), methods=["POST"]),
            Route(f"{one}/default", for_project_admins(self.make_default), methods=["POST"]),
            Route(f"{one}/delete", for_project_admins(self.delete), methods=["POST"]),
        ]

    async def profiles(self, request: Request) -> Response:
        """The list of profiles."""
        return page("stackone/profiles.html", person=signed_in(request), state=self._store.state)

    async def linked_accounts(self, request: Request) -> Response:
        """The list of linked accounts."""
        return page("stackone/accounts.html", person=signed_in(request), state=self._store.state)

    async def new(self, request: Request) -> Response:
        """*+ Connector Profile*: search and select a connector, then its form."""
        connector = CONNECTORS.get(request.query_params.get("connector", ""))
        if connector is not None:
            return self._form(request, connector, None)
        search = request.query_params.get("search", "").strip()
        found = [each for each in CONNECTORS.values() if search.lower() in each.label.lower()]
        return page("stackone/connectors.html", person=signed_in(request), connectors=found, search=search)

    async def create(self, request: Request) -> Response:
        """*Create profile*."""
        form = await request.form()
        connector = CONNECTORS.get(text(form, "connector"))
        if connector is None:
            raise HTTPException(400, "Unknown connector")
        if text(form, "type") != "oauth2" or not (text(form, "client_id") and text(form, "client_secret")):
            return self._form(request, connector, None, "Type, Client ID and Client Secret are required.")
        with self._store.change() as state:
            state.create_profile(connector.key, _fields(form))
        return see_other(PROFILES)

    async def edit(self, request: Request) -> Response:
        """Rename a profile or replace its credentials, which are never shown."""
        profile = self._profile(request)
        if request.method == "GET":
            return self._form(request, CONNECTORS[profile.public.connector_key], profile)
        fields = _fields(await request.form())
        with self._store.change() as state:
            state.change_profile(profile, fields)
        return see_other(PROFILES)

    async def enable(self, request: Request) -> Response:
        """*Enable*."""
        return self._set_active(request, active=True)

    async def disable(self, request: Request) -> Response:
        """*Disable*: its accounts become inactive."""
        return self._set_active(request, active=False)

    async def make_default(self, request: Request) -> Response:
        """*Make default*."""
        with self._store.change() as state:
            state.make_default(self._profile(request))
        return see_other(PROFILES)

    async def delete(self, request: Request) -> Response:
        """*Delete*: its accounts become inactive."""
        profile = self._profile(request)
        with self._store.change() as state:
            state.delete_profile(profile)
        self._accounts.follow_profile(profile, exists=False)
        return see_other(PROFILES)

    def _set_active(self, request: Request, *, active: bool) -> Response:
        profile = self._profile(request)
        with self._store.change() as state:
            state.change_profile(profile, ProfileFields(active=active))
        self._accounts.follow_profile(profile)
        return see_other(PROFILES)

    def _profile(self, request: Request) -> StoredProfile:
        profile = self._store.state.profile(request.path_params["profile_id"])
        if profile is None:
            raise HTTPException(404, "No such profile")
        return profile

    def _form(self, request: Request, connector: Connector, profile: StoredProfile | None, fault: str = "") -> Response:
        actions = list(GONG_ACTIONS.values()) if connector.key == "gong" else []
        values = {"connector": connector, "profile": profile, "actions": actions, "fault": fault}
        return page("stackone/profile_form.html", 422 if fault else 200, person=signed_in(request), **values)


def _fields(form: FormData) -> ProfileFields:
    return ProfileFields(
        name=text(form, "name") or None,
        client_id=text(form, "client_id") or None,
        client_secret=text(form, "client_secret") or None,
        scopes=text(form, "scopes"),
        actions=many(form, "actions"),
    )
