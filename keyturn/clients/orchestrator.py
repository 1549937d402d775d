"""Prefect, from outside a run: start, resume, ask. The only file of `keyturn` that imports `prefect`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.client.schemas.sorting import LogSort
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL

from keyturn.domain.attempt import Attempt, AttemptKind
from keyturn.errors import ConfigurationError, UnavailableError, VendorRefusedError
from keyturn.ports import LogLine, RunState

DEPLOYMENTS = {AttemptKind.ONBOARDING: "onboard/onboard", AttemptKind.ROTATION: "rotate/rotate"}
WATCH = "watch/watch"
_CLIENT_ERROR = 400
_SERVER_ERROR = 500
_MOVING = {StateType.SCHEDULED, StateType.PENDING}
_RUNNING = {StateType.RUNNING, StateType.CANCELLING}


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
        key = f"{attempt.id}:{attempt.fence}:{attempt.flow_run_id or 'first'}"
        with _prefect() as client:
            run = client.create_flow_run_from_deployment(
                _deployment(client, DEPLOYMENTS[attempt.kind]),
                parameters={"key": str(attempt.key), "attempt": str(attempt.id)},
                idempotency_key=key,
                tags=["keyturn", f"integration:{attempt.key}", str(attempt.kind)],
            )
        return run.id

    def ask_for_watch(self) -> None:
        """Have the watch make a round now.

        Raises:
            ConfigurationError: there is no such deployment.
        """
        with _prefect() as client:
            client.create_flow_run_from_deployment(_deployment(client, WATCH), tags=["keyturn"])

    def resume(self, flow_run_id: UUID) -> bool:
        """Ask to resume; `False` when Prefect does not accept it because the run is not suspended."""
        with _prefect() as client:
            try:
                answer = client.resume_flow_run(flow_run_id)
            except ObjectNotFound:
                return False
        return answer.status is SetStateStatus.ACCEPT

    def state(self, flow_run_id: UUID) -> RunState:
        """What has become of the run."""
        with _prefect() as client:
            try:
                state = client.read_flow_run(flow_run_id).state
            except ObjectNotFound:
                return RunState.UNKNOWN
        if state is None or state.type in _MOVING:
            return RunState.MOVING
        if state.type in _RUNNING:
            return RunState.RUNNING
        return RunState.SUSPENDED if state.type is StateType.PAUSED else RunState.ENDED

    def state_for_s(self, flow_run_id: UUID) -> float:
        """For how many seconds it has been in that state. The system's time is meant: nothing moves Prefect's."""
        with _prefect() as client:
            try:
                state = client.read_flow_run(flow_run_id).state
            except ObjectNotFound:
                return 0.0
        return (datetime.now(UTC) - state.timestamp).total_seconds() if state else 0.0

    def url(self, flow_run_id: UUID) -> str:
        """The run's page."""
        base = PREFECT_UI_URL.value()
        return f"{base.rstrip('/')}/runs/flow-run/{flow_run_id}" if base else ""

    def log(self, flow_run_id: UUID, limit: int) -> Sequence[LogLine]:
        """The newest lines of its log, oldest first."""
        mine = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run_id]))
        with _prefect() as client:
            newest = client.read_logs(mine, limit=limit, sort=LogSort.TIMESTAMP_DESC)
        return [LogLine(log.timestamp, logging.getLevelName(log.level), log.message) for log in reversed(newest)]


def examine_leases() -> str:
    """Where the server keeps the leases of its concurrency limits, as a module's name; empty if it does not say.

    https://docs.prefect.io/v3/api-ref/settings-ref#lease-storage
    """
    with _prefect() as client:
        answer = client.request("GET", "/admin/settings")
    told = answer.json()
    for name in ("server", "concurrency", "lease_storage"):
        told = told.get(name, {}) if isinstance(told, dict) else {}
    return told if isinstance(told, str) else ""


def examine_server() -> tuple[str, bool]:
    """The server's version, and whether all deployments are there; for `keyturn doctor`."""
    with _prefect() as client:
        version = str(client.api_version())
        try:
            for name in (*DEPLOYMENTS.values(), WATCH):
                client.read_deployment_by_name(name)
        except ObjectNotFound:
            return version, False
    return version, True


def _deployment(client: SyncPrefectClient, name: str) -> UUID:
    try:
        return client.read_deployment_by_name(name).id
    except ObjectNotFound:
        raise ConfigurationError(
            name, "Prefect has no such deployment", "Run `prefect deploy --all` in keyturn's folder."
        ) from None


@contextmanager
def _prefect() -> Iterator[SyncPrefectClient]:
    """A client, with every failure of the way to the server translated."""
    address = PREFECT_API_URL.value()
    if not address:
        raise ConfigurationError(
            "PREFECT_API_URL", "is not set", "Set it to the Prefect server's address, ending in /api."
        )
    try:
        with get_client(sync_client=True) as client:
            yield client
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if _CLIENT_ERROR <= status < _SERVER_ERROR:
            raise VendorRefusedError(
                address, f"Prefect answered HTTP {status}", "Check PREFECT_API_URL and its key."
            ) from None
        raise UnavailableError(address, f"Prefect answered HTTP {status}", "Try again when the server is up.") from None
    except (httpx.TransportError, RuntimeError) as error:
        raise UnavailableError(
            address,
            f"Prefect cannot be reached ({type(error).__name__})",
            "Start the server, or correct PREFECT_API_URL.",
        ) from None
