"""The Connector Profiles API: reading, and pinning a version. GET by id is not known to exist, so it does not."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyturn.sandbox.twins.stackone.catalogue import CONNECTORS
from keyturn.sandbox.twins.stackone.errors import ApiError, body_of
from keyturn.sandbox.twins.stackone.queries import page_of
from keyturn.sandbox.twins.stackone.state import StackOneState, StoredProfile
from keyturn.sandbox.twins.stackone.wire import ConnectorProfilePage, ConnectorVersion, PinnedVersion, PinVersion
from keyturn.sandbox.twins.store import Store


class Profiles:
    """Profiles are found in the list, never by id."""

    def __init__(self, store: Store[StackOneState]) -> None:
        self._store = store

    async def list_all(self, request: Request) -> Response:
        """GET /connector_profiles and the older GET /auth_configs."""
        number, size = page_of(request)
        matching = [profile.public for profile in self._store.state.profiles if _matches(profile, request)]
        shown = matching[(number - 1) * size : number * size]
        answer = ConnectorProfilePage(page=number, page_size=size, total=len(matching), data=shown)
        return JSONResponse(answer.model_dump(mode="json", exclude_none=True))

    async def versions(self, request: Request) -> Response:
        """GET /connector_profiles/{id}/versions."""
        public = self._found(request).public
        known = CONNECTORS[public.connector_key].versions
        listed = [
            ConnectorVersion(
                version=version,
                owner="stackone",
                builtin=True,
                pinned=version == public.connector_pinned_version,
            )
            for version in known
        ]
        return JSONResponse([version.model_dump() for version in listed])

    async def pinned(self, request: Request) -> Response:
        """GET /connector_profiles/{id}/pinned_version; 404 when none is."""
        return self._pinned(self._found(request))

    async def pin(self, request: Request) -> Response:
        """PUT /connector_profiles/{id}/pinned_version."""
        profile = self._found(request)
        wanted = await body_of(request, PinVersion)
        if wanted.pinned_version not in CONNECTORS[profile.public.connector_key].versions:
            raise ApiError(400, "No such version")
        with self._store.change() as state:
            profile.public.connector_pinned_version = wanted.pinned_version
            profile.pinned_at = profile.pinned_at or state.now()
            state.touch(profile)
        return self._pinned(profile)

    async def unpin(self, request: Request) -> Response:
        """DELETE /connector_profiles/{id}/pinned_version."""
        profile = self._found(request)
        with self._store.change() as state:
            profile.public.connector_pinned_version = profile.pinned_at = None
            state.touch(profile)
        return Response(status_code=204)

    def _pinned(self, profile: StoredProfile) -> Response:
        public = profile.public
        if public.connector_pinned_version is None or profile.pinned_at is None:
            raise ApiError(404, "No version is pinned")
        answer = PinnedVersion(
            connector_profile_id=public.id,
            pinned_version=public.connector_pinned_version,
            owner="stackone",
            created_at=profile.pinned_at,
            updated_at=public.updated_at,
        )
        return JSONResponse(answer.model_dump(mode="json"))

    def _found(self, request: Request) -> StoredProfile:
        profile = self._store.state.profile(request.path_params["profile_id"])
        if profile is None:
            raise ApiError(404, "Connector profile not found")
        return profile


def _matches(profile: StoredProfile, request: Request) -> bool:
    enabled = request.query_params.get("enabled")
    connector_key = request.query_params.get("connector_key")
    wanted_active = enabled is None or profile.public.active == (enabled.lower() == "true")
    return wanted_active and connector_key in (None, profile.public.connector_key)
