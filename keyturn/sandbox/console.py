"""The web console as a server of the sandbox, signed in to by one-time links."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keyturn.sandbox.assets import asset
from keyturn.sandbox.openbao import OpenBao
from keyturn.sandbox.prefect import prefect_environment
from keyturn.sandbox.processes import Child, Children, Command
from keyturn.sandbox.readiness import wait_for_page

WEBHOOKS = "/webhooks/stackone"


@dataclass(frozen=True, slots=True)
class Console:
    """A running console.

    Attributes:
        url: where browsers reach it.
    """

    child: Child
    url: str


@dataclass(frozen=True, slots=True)
class Replica:
    """What one console process is told.

    Attributes:
        name: of the process and its log.
        settings: keyturn's and Prefect's, as everybody in the sandbox has them.
        webhook_secret: what the twin of StackOne signs its events with.
        behind: address of the balancer in front of several replicas, if there is one.
    """

    name: str
    port: int
    settings: Mapping[str, str] = field(repr=False)
    webhook_secret: str = field(repr=False)
    behind: str | None = None

    @property
    def url(self) -> str:
        """Where browsers reach it."""
        return self.behind or url_at(self.port)

    def variables(self, openbao: OpenBao, manifests: Path) -> dict[str, str]:
        """Its settings; it signs in to Vault as itself, and may less than a worker there."""
        prefect = self.settings["PREFECT_API_URL"].removesuffix("/api")
        return (
            {"KEYTURN_MANIFESTS": str(manifests)}
            | dict(self.settings)
            | {
                "KEYTURN_VAULT__ROLE_ID": openbao.console_role_id,
                "KEYTURN_VAULT__SECRET_ID": openbao.console_secret_id,
                "KEYTURN_CONSOLE__URL": self.url,
                "KEYTURN_CONSOLE__HOST": "127.0.0.1",
                "KEYTURN_CONSOLE__PORT": str(self.port),
                "KEYTURN_CONSOLE__SIGN_IN_LINKS": "true",
                "KEYTURN_CONSOLE__WEBHOOK_SECRET": self.webhook_secret,
                "PREFECT_UI_URL": prefect,
                "KEYTURN_CONSOLE__PREFECT_URL": prefect,
            }
        )


def url_at(port: int) -> str:
    """Address of a console on this machine: a loopback one, where browsers keep cookies that are for https only."""
    return f"http://127.0.0.1:{port}"


def start_console(children: Children, openbao: OpenBao, replica: Replica) -> Console:
    """Start `keyturn console`, and wait until it answers. The ledger must be migrated.

    Raises:
        UnavailableError: it does not come up.
    """
    base = prefect_environment(children.state, replica.settings["PREFECT_API_URL"])
    folder = children.state / "prefect"
    argv = [sys.executable, "-m", "keyturn", "console"]
    variables = replica.variables(openbao, manifests_of(children.state))
    child = children.start(Command(replica.name, argv, base | variables, folder))
    wait_for_page(child, f"{url_at(replica.port)}/healthz")
    return Console(child, replica.url)


def manifests_of(state: Path) -> Path:
    """Where a sandbox keeps the manifests that its console knows: those that came with keyturn, and the fleet's."""
    folder = state / "integrations"
    folder.mkdir(mode=0o700, exist_ok=True)
    for shipped in asset("integrations").iterdir():
        link = folder / shipped.name
        if link.is_symlink():
            link.unlink()
        if not link.exists():
            link.symlink_to(shipped)
    return folder
