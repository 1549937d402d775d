"""Prefect, from outside a run: start, resume, ask. The only file here that imports `prefect`, and only if it must.

Its API is called as https://docs.prefect.io/v3/api-ref/rest-api describes it, plainly where that will do
(`keyturn.clients.prefect_way`), otherwise by Prefect's own client.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpx

from keyturn.clients.prefect_way import URL, plain_way
from keyturn.domain.attempt import Attempt, AttemptKind
from keyturn.errors import ConfigurationError, UnavailableError, VendorRefusedError
from keyturn.ports import LivingRun, LogLine, RunState

DEPLOYMENTS = {AttemptKind.ONBOARDING: "onboard/onboard", AttemptKind.ROTATION: "rotate/rotate"}
WATCH = "watch/watch"
SWEEP = "sweep/sweep"
_STATES = {
    "SCHEDULED": RunState.MOVING,
    "PENDING": RunState.MOVING,
    "RUNNING": RunState.RUNNING,
    "CANCELLING": RunState.RUNNING,
    "PAUSED": RunState.SUSPENDED,
}
_PAGE = 200  # the most that Prefect's API gives at once
_LIVING = {"tags": {"any_": [kind.value for kind in AttemptKind]}, "state": {"type": {"any_": sorted(_STATES)}}}


@dataclass(frozen=True, slots=True)
class PrefectRuns:
    """Implements `keyturn.ports.Runs` on the server that Prefect's own settings name."""

    def start(self, attempt: Attempt) -> UUID:
        """Start a run from the deployment for this kind of attempt.

        The idempotency key is the attempt, its number and the run before, so two callers who saw the same state get
        the same run, and a run that ended can be followed by another.

        Raises:
            ConfigurationError: there is no such deployment.
        """
        wanted = {
            "parameters": {"key": str(attempt.key), "attempt": str(attempt.id)},
            "idempotency_key": f"{attempt.id}:{attempt.fence}:{attempt.flow_run_id or 'first'}",
            "tags": ["keyturn", f"integration:{attempt.key}", str(attempt.kind)],
        }
        return _created(DEPLOYMENTS[attempt.kind], wanted)

    def ask_for_watch(self) -> None:
        """Have the watch make a round now.

        Raises:
            ConfigurationError: there is no such deployment.
        """
        _created(WATCH, {"tags": ["keyturn"]})

    def resume(self, flow_run_id: UUID) -> bool:
        """Ask to resume; `False` when Prefect does not accept it because the run is not suspended."""
        try:
            return bool(_ask("POST", f"/flow_runs/{flow_run_id}/resume", {})["status"] == "ACCEPT")
        except _MissingError:
            return False

    def state(self, flow_run_id: UUID) -> RunState:
        """What has become of the run."""
        try:
            return _run_state(_ask("GET", f"/flow_runs/{flow_run_id}"))
        except _MissingError:
            return RunState.UNKNOWN

    def states_of(self, flow_run_ids: Sequence[UUID]) -> Mapping[UUID, RunState]:
        """What has become of many runs, a page of them with each call."""
        found: dict[UUID, RunState] = dict.fromkeys(flow_run_ids, RunState.UNKNOWN)
        for start in range(0, len(flow_run_ids), _PAGE):
            some = {"id": {"any_": [str(run) for run in flow_run_ids[start : start + _PAGE]]}}
            found |= {UUID(run["id"]): _run_state(run) for run in _runs(some)}
        return found

    def state_for_s(self, flow_run_id: UUID) -> float:
        """For how many seconds it has been in that state. The system's time is meant: nothing moves Prefect's."""
        try:
            state = _ask("GET", f"/flow_runs/{flow_run_id}")["state"]
        except _MissingError:
            return 0.0
        return (datetime.now(UTC) - datetime.fromisoformat(state["timestamp"])).total_seconds() if state else 0.0

    def url(self, flow_run_id: UUID) -> str:
        """The run's page."""
        way = plain_way()
        base = way.pages if way else _prefects_own("PREFECT_UI_URL")
        return f"{base.rstrip('/')}/runs/flow-run/{flow_run_id}" if base else ""

    def log(self, flow_run_id: UUID, limit: int) -> Sequence[LogLine]:
        """The newest lines of its log, oldest first."""
        mine = {"flow_run_id": {"any_": [str(flow_run_id)]}}
        newest = _ask("POST", "/logs/filter", {"logs": mine, "limit": limit, "sort": "TIMESTAMP_DESC"})
        return [_line(log) for log in reversed(newest)]


@dataclass(frozen=True, slots=True)
class PrefectRunList:
    """Implements `keyturn.ports.RunList` on the same server."""

    def living(self) -> Sequence[LivingRun]:
        """Every run of an integration that has not ended."""
        found: list[LivingRun] = []
        while page := _runs(_LIVING, len(found)):
            found += [_living(run) for run in page]
            if len(page) < _PAGE:
                break
        return found

    def schedules(self) -> Mapping[str, int]:
        """How many active schedules the watch and the sweep have; none for a deployment that is not there."""
        return {name: _active_schedules(name) for name in (WATCH, SWEEP)}


def examine_leases() -> str:
    """Where the server keeps the leases of its concurrency limits, as a module's name; empty if it does not say.

    https://docs.prefect.io/v3/api-ref/settings-ref#lease-storage
    """
    told = _ask("GET", "/admin/settings")
    for name in ("server", "concurrency", "lease_storage"):
        told = told.get(name, {}) if isinstance(told, dict) else {}
    return told if isinstance(told, str) else ""


def examine_server() -> tuple[str, bool]:
    """The server's version, and whether all deployments are there; for `keyturn doctor`."""
    version = str(_ask("GET", "/admin/version"))
    try:
        for name in (*DEPLOYMENTS.values(), WATCH):
            _ask("GET", f"/deployments/name/{name}")
    except _MissingError:
        return version, False
    return version, True


class _MissingError(Exception):
    """Prefect does not know it."""


def _created(deployment: str, wanted: Mapping[str, Any]) -> UUID:
    try:
        found = _ask("GET", f"/deployments/name/{deployment}")["id"]
        made = _ask("POST", f"/deployments/{found}/create_flow_run", {"state": {"type": "SCHEDULED"}, **wanted})
    except _MissingError:
        raise ConfigurationError(
            deployment, "Prefect has no such deployment", "Run `prefect deploy --all` in keyturn's folder."
        ) from None
    return UUID(made["id"])


def _runs(which: Mapping[str, Any], offset: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _ask(
        "POST", "/flow_runs/filter", {"flow_runs": which, "limit": _PAGE, "offset": offset}
    )
    return found


def _run_state(run: Mapping[str, Any]) -> RunState:
    return _STATES.get(run["state"]["type"], RunState.ENDED) if run.get("state") else RunState.MOVING


def _living(run: Mapping[str, Any]) -> LivingRun:
    told = run["parameters"]
    return LivingRun(UUID(run["id"]), _run_state(run), str(told.get("key", "")), str(told.get("attempt") or ""))


def _active_schedules(name: str) -> int:
    try:
        deployment = _ask("GET", f"/deployments/name/{name}")
    except _MissingError:
        return 0
    return 0 if deployment["paused"] else sum(bool(schedule["active"]) for schedule in deployment["schedules"])


def _line(log: Mapping[str, Any]) -> LogLine:
    return LogLine(datetime.fromisoformat(log["timestamp"]), logging.getLevelName(log["level"]), log["message"])


def _ask(method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401  any JSON
    """One call of the API; gives the answer's JSON.

    Raises:
        _MissingError: 404.
    """
    way = plain_way()
    with _translated(way.url if way else _prefects_own(URL)):
        answer = way.ask(method, path, body) if way else None
        if answer is None:
            answer = _ask_by_prefect(method, path, body)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise _MissingError
        return answer.raise_for_status().json() if answer.content else None


def _ask_by_prefect(method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
    from prefect.client.orchestration import get_client  # noqa: PLC0415  takes a second, and is seldom needed

    with get_client(sync_client=True) as client:
        request: Any = client.request  # typed for the literal paths of Prefect's own calls
        try:
            answer: httpx.Response = request(method, path, json=body)
        except httpx.HTTPStatusError as error:
            return error.response
    return answer


def _prefects_own(name: str) -> str:
    """One of Prefect's settings, wherever it was set."""
    from prefect import settings  # noqa: PLC0415  as above

    return str(getattr(settings, name).value() or "")


@contextmanager
def _translated(address: str) -> Iterator[None]:
    """Turn every failure of the way to the server into one of ours."""
    if not address:
        raise ConfigurationError(URL, "is not set", "Set it to the Prefect server's address, ending in /api.")
    try:
        yield
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if error.response.is_client_error:
            raise VendorRefusedError(
                address, f"Prefect answered HTTP {status}", "Check PREFECT_API_URL and its key."
            ) from None
        raise UnavailableError(address, f"Prefect answered HTTP {status}", "Try again when the server is up.") from None
    except (httpx.TransportError, RuntimeError) as error:  # the latter is Prefect's own client's word for it
        raise UnavailableError(
            address,
            f"Prefect cannot be reached ({type(error).__name__})",
            "Start the server, or correct PREFECT_API_URL.",
        ) from None
