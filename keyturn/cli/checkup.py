"""What `keyturn doctor` looks at. Every check stands alone: one that cannot be made spoils no other."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

from keyturn.domain.checkup import Check
from keyturn.domain.credential import Credential
from keyturn.domain.manifest import CONNECTOR
from keyturn.errors import ConfigurationError, KeyturnError, TransientError
from keyturn.settings import LOOPBACK
from keyturn.wiring import Ports

_PACKAGES = ("prefect", "fastapi", "httpx", "authlib", "hvac", "pydantic", "sqlalchemy")

TO_TRY_BY_HAND = (
    "Gong: which fields of the form are mandatory, how long they may be, and which logo sizes are taken.",
    "Gong: whether a Business Admin can create an integration, or only a Tech admin.",
    "Gong: StackOne's egress addresses for the two lists of trusted IPs; ask StackOne support.",
    "Gong: whether a refresh token still works after the client secret was rotated.",
    "StackOne: whether linked accounts stay alive when the secret on their profile is replaced.",
)
"""What no read-only call can find out. The facts behind it are in `docs/guides/gong-and-stackone.md`."""


def checks(ports: Ports, *, live: bool) -> list[Check]:
    """All checks. `live` adds calls that try what the vendors do not document; none of them changes anything."""
    from keyturn.clients.vault import health

    found = [_packages(), *_clock(ports), _asked("ledger", lambda: _ledger(ports))]
    found += health.examine(ports.settings.vault)
    found += [_asked("prefect", _prefect), _asked("prefect: leases", _leases)]
    found += [_asked("stackone: API key", lambda: _stackone(ports))]
    found += [
        _asked("stackone: profile writer", lambda: _writer(ports)),
        _asked("manifests", lambda: _manifests(ports)),
        _asked("notify: channels", lambda: _channels(ports)),
    ]
    return [*found, *_live(ports)] if live else found


def _live(ports: Ports) -> Iterator[Check]:
    yield _asked("live: gong answers a made-up pair", lambda: _made_up_pair(ports))
    yield _asked("live: stackone actions", lambda: _actions(ports))
    yield _asked("live: stackone accounts by profile", lambda: _accounts(ports))


def _asked(name: str, question: Callable[[], tuple[bool | None, str, str]]) -> Check:
    try:
        return Check(name, *question())
    except TransientError as error:
        return Check(name, ok=None, found=error.problem, remedy=error.remedy)
    except KeyturnError as error:
        return Check(name, ok=False, found=f"{error.subject}: {error.problem}", remedy=error.remedy)


def _packages() -> Check:
    return Check("packages", ok=True, found=", ".join(f"{p} {version(p)}" for p in _PACKAGES), remedy="")


def _clock(ports: Ports) -> Iterator[Check]:
    """Only where the clock is not the system's: one that was moved must never meet a real secret."""
    if (file := ports.settings.sandbox_clock) is not None:
        yield _asked("clock", lambda: _sandbox_clock(ports, file))


def _sandbox_clock(ports: Ports, file: Path) -> tuple[bool | None, str, str]:
    from keyturn.clients.clock import ShiftedClock

    found = f"a sandbox's, {ShiftedClock(file).offset() / timedelta(hours=1):.0f} hours ahead"
    if ports.settings.gong.token_url.host in LOOPBACK:
        return True, found, ""
    return False, f"{found}, and Gong is not on this machine", "Unset KEYTURN_SANDBOX_CLOCK: it is for sandboxes."


def _ledger(ports: Ports) -> tuple[bool | None, str, str]:
    from keyturn.ledger import migrate

    url = ports.settings.require_ledger_url()
    pending = migrate.pending(url)
    if pending:
        return False, f"pending migrations: {', '.join(pending)}", "Run `keyturn db upgrade`."
    return True, f"migrations up to {migrate.current(url)}", ""


def _prefect() -> tuple[bool | None, str, str]:
    from keyturn.clients.orchestrator import examine_server

    server, deployed = examine_server()
    if not deployed:
        lacking = f"server {server}, not all of keyturn's deployments"
        return False, lacking, "Run `prefect deploy --all` in keyturn's folder."
    return True, f"server {server}, client {version('prefect')}, keyturn's deployments", ""


def _leases() -> tuple[bool | None, str, str]:
    """One round of the watch at a time is a lease: one that is lost with the server locks every later round out."""
    from keyturn.clients.orchestrator import examine_leases

    kept = examine_leases()
    if not kept:
        return None, "the server does not say where it keeps leases", "See deployments/prefect/README.md."
    if kept.endswith(".memory"):
        lost = "kept in the server's memory: if it dies in a round of the watch, no later round may begin"
        return False, lost, "Set PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE, as deployments/prefect/README.md says."
    return True, f"kept by {kept}, and so not lost with the server", ""


def _stackone(ports: Ports) -> tuple[bool | None, str, str]:
    profiles = ports.hub.profiles(CONNECTOR)
    return True, f"accepted; {len(profiles)} Gong profiles", ""


def _writer(ports: Ports) -> tuple[bool | None, str, str]:
    _, choice = ports.writers.choose()
    return True, f"{choice.writer}: {choice.why}", ""


def _manifests(ports: Ports) -> tuple[bool | None, str, str]:
    from keyturn.domain.finding import errors
    from keyturn.services import manifests

    paths = manifests.every(ports.settings.manifests)
    faulty = [p.name for p in paths if errors(manifests.check(manifests.load(p)))]
    if faulty:
        return False, f"{len(faulty)} of {len(paths)} have errors: {', '.join(faulty)}", "Run `keyturn lint`."
    return True, f"{len(paths)} in {ports.settings.manifests}, none with errors", ""


def _channels(ports: Ports) -> tuple[bool | None, str, str]:
    found = ports.channels.channels()
    if not found:  # nothing is wrong with that, but somebody should know
        return True, "none: nobody is told anything", "Configure some as deployments/vault/README.md says."
    return True, f"{', '.join(c.name for c in found)}; `keyturn notify test` tries them", ""


def _made_up_pair(ports: Ports) -> tuple[bool | None, str, str]:
    """A pair that cannot exist: if even that is not called wrong, the probe cannot tell on this Gong."""
    if not ports.settings.gong.probe:
        raise ConfigurationError("KEYTURN_GONG__PROBE", "is off", "Switch it on to have credentials tried.")
    probe = ports.gong.probe(Credential(f"keyturn-doctor-{secrets.token_hex(8)}", secrets.token_urlsafe(32)))
    found = f"{probe.outcome} (HTTP {probe.status}, {probe.code})"
    if probe.outcome == "wrong pair":
        return True, f"{found}: wrong pairs can be recognised", ""
    if probe.outcome == "valid":
        return False, found, "A made-up pair must never be valid: switch the probe off and report this."
    return None, f"{found}: layer L1 will say “not tested”", probe.explanation


def _actions(ports: Ports) -> tuple[bool | None, str, str]:
    actions = ports.hub.actions(CONNECTOR)
    listing = [a.id for a in actions if "list_users" in a.id]
    if not listing:
        return False, f"{len(actions)} actions, none to list users", "The live call of layer L3 needs it; ask StackOne."
    return True, f"{len(actions)} actions; the live call uses {listing[0]}", ""


def _accounts(ports: Ports) -> tuple[bool | None, str, str]:
    profiles = ports.hub.profiles(CONNECTOR)
    if not profiles:
        return None, "no Gong profile to ask about", "Try again once one exists."
    return True, f"{len(ports.hub.accounts(profiles[0].id))} accounts linked through {profiles[0].id}", ""
