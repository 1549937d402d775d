"""The settings, branch by branch, with what each one means."""

from __future__ import annotations

import ssl
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from pydantic import (
    AnyHttpUrl,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from keyturn.errors import ConfigurationError
from keyturn.settings.branch import Branch, SafeUrl
from keyturn.settings.vendors import GongSettings, StackOneSettings

_MOUNT = r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$"


class VaultAuth(StrEnum):
    """How keyturn itself signs in to Vault."""

    TOKEN = "token"  # noqa: S105  the name of a method
    APPROLE = "approle"
    KUBERNETES = "kubernetes"


class LedgerSettings(Branch):
    """The ledger's database."""

    url: SecretStr = Field(
        default=SecretStr(""), description="PostgreSQL address, `postgresql://user:password@host/keyturn`."
    )
    lock_timeout_s: float = Field(
        default=60.0, gt=0, description="Seconds an execution waits for another one of its attempt to finish a step."
    )

    @field_validator("url")
    @classmethod
    def _postgresql(cls, url: SecretStr) -> SecretStr:
        scheme = url.get_secret_value().partition("://")[0]
        if scheme and scheme not in {"postgresql", "postgres", "postgresql+psycopg"}:
            raise ValueError("give an address that begins with postgresql://")
        return url


class VaultSettings(Branch):
    """Vault or OpenBao."""

    addr: SafeUrl = Field(default=AnyHttpUrl("http://127.0.0.1:8200"), description="Address of Vault or OpenBao.")
    mount: str = Field(default="keyturn", pattern=_MOUNT, description="Path of the KV version 2 mount.")
    transit_mount: str = Field(
        default="transit", pattern=_MOUNT, description="Path of the transit mount with the fingerprint key."
    )
    namespace: str = Field(default="", pattern=r"^[!-~]*$", description="Vault namespace, if any.")
    ca_file: Path | None = Field(default=None, description="CA certificate for Vault's TLS, a PEM file.")
    auth: VaultAuth = Field(
        default=VaultAuth.TOKEN, description="How keyturn signs in: `token`, `approle` or `kubernetes`."
    )
    role_id: str = Field(default="", validate_default=True, description="AppRole role id, for `auth = approle`.")
    secret_id: SecretStr = Field(
        default=SecretStr(""), validate_default=True, description="AppRole secret id, for `auth = approle`."
    )
    role: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_.-]*$",
        validate_default=True,
        description="Vault's role for the pod's service account, for `auth = kubernetes`.",
    )
    kubernetes_mount: str = Field(
        default="kubernetes", pattern=_MOUNT, description="Path of the Kubernetes sign-in, below `auth/`."
    )
    jwt_file: Path = Field(
        default=Path("/var/run/secrets/kubernetes.io/serviceaccount/token"),
        description="The service account's token, for `auth = kubernetes`; read anew at each sign-in.",
    )
    token: SecretStr = Field(default=SecretStr(""), description="Token, for `auth = token`.")
    timeout_s: float = Field(default=15.0, gt=0, description="Seconds to wait for an answer from Vault.")

    @field_validator("ca_file")
    @classmethod
    def _certificate(cls, path: Path | None) -> Path | None:
        try:
            if path is not None:
                ssl.create_default_context(cafile=str(path))
        except OSError:
            raise ValueError("there is no file with a certificate in PEM form at that path") from None
        return path

    @field_validator("role_id", "secret_id")
    @classmethod
    def _approle(cls, value: str | SecretStr, info: ValidationInfo) -> str | SecretStr:
        if info.data.get("auth") is VaultAuth.APPROLE and not value:
            raise ValueError("is needed for KEYTURN_VAULT__AUTH=approle")
        return value

    @field_validator("role")
    @classmethod
    def _kubernetes(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("auth") is VaultAuth.KUBERNETES and not value:
            raise ValueError("is needed for KEYTURN_VAULT__AUTH=kubernetes")
        return value

    def require_sign_in(self) -> None:
        """Raise a ConfigurationError if sign-in is by token and none is set."""
        if self.auth is VaultAuth.TOKEN:
            _required(self.token, "KEYTURN_VAULT__TOKEN", "Set it, or sign in by AppRole: KEYTURN_VAULT__AUTH=approle.")


class WaitingSettings(Branch):
    """How long a run keeps its worker while it waits for something that a person may do at once."""

    in_process_s: float = Field(
        default=120.0, ge=0, description="Seconds a run polls for a consent or a hand-made profile before it suspends."
    )
    first_interval_s: float = Field(default=1.0, gt=0, description="First polling interval, in seconds; it grows.")
    longest_interval_s: float = Field(default=15.0, gt=0, description="Longest polling interval, in seconds.")


class RotationSettings(Branch):
    """What the sweep does."""

    at_once: int = Field(default=5, ge=1, description="Rotations that may be under way and not verified at once.")


class WatchSettings(Branch):
    """How integrations are looked at."""

    check_every_s: float = Field(default=900.0, gt=0, description="Seconds after which integrations are checked again.")
    keep_days: int = Field(default=90, ge=1, description="Days that observations are kept.")
    threads: int = Field(default=8, ge=1, le=64, description="How many integrations one worker checks at once.")
    claim: int = Field(default=200, ge=1, description="How many integrations one round takes on at most.")

    @property
    def blind_after(self) -> timedelta:
        """After how long without a look nothing is known to be well any more: four rounds, and an hour at least."""
        return max(timedelta(seconds=4 * self.check_every_s), timedelta(hours=1))


class WorkerSettings(Branch):
    """The Prefect worker of type `warm`."""

    preload: str = Field(
        default="flows.onboarding flows.rotation flows.monitoring keyturn.wiring keyturn.ledger keyturn.clients "
        "keyturn.services",
        description="Modules, and packages with all that is below them, which its fork server imports once for all "
        "runs; with spaces between. What is below packages comes last, while nothing is to be forked.",
    )
    grace_s: float = Field(
        default=20.0, ge=0, description="Seconds that runs get to end by themselves when it is told to stop."
    )


class OidcSettings(Branch):
    """The OpenID provider at which people sign in to the console."""

    issuer: SafeUrl | None = Field(default=None, description="OpenID provider; its discovery document is below it.")
    client_id: str = Field(default="", description="The console's client id there.")
    client_secret: SecretStr = Field(default=SecretStr(""), description="The console's client secret there.")
    cli_client_id: str = Field(default="", description="Public client for the device flow of the command line.")
    groups_claim: str = Field(default="groups", description="Claim of the ID token that lists a person's groups.")
    name_claim: str = Field(default="preferred_username", description="Claim that people are called by.")
    roles: dict[str, str] = Field(
        default={}, description="More groups and their roles, as JSON; a group `keyturn-<role>` needs no entry."
    )
    vault_accessor: str = Field(
        default="",
        description="Accessor of the Vault sign-in that the same people use; then one person is one in both places. "
        "Without it the console takes neither Vault tokens nor one-time links beside the provider.",
    )
    vault_alias_claim: str = Field(default="preferred_username", description="Claim that is a person's name there.")


class ConsoleSettings(Branch):
    """The web console, and how commands find it."""

    url: SafeUrl | None = Field(
        default=None,
        description="Where browsers reach it. On a machine without `KEYTURN_LEDGER__URL`, commands go through it, too.",
    )
    host: str = Field(default="127.0.0.1", description="Address that `keyturn console` listens on.")
    port: int = Field(default=8400, ge=0, le=65535, description="Its port.")
    trusted_proxies: str = Field(
        default="",
        description="Addresses whose `X-Forwarded-…` headers count, with commas between. Needed with an https address; "
        "`nobody` if no header counts: then everybody who comes through a proxy shares the limits of one client.",
    )
    idle_s: float = Field(default=1800.0, gt=0, description="Seconds after which an idle session ends.")
    session_s: float = Field(default=7200.0, gt=0, description="Seconds after which a session ends in any case.")
    sign_in_links: bool = Field(
        default=False, description="One-time sign-in links from `keyturn console link`; only on a loopback address."
    )
    metrics_token: SecretStr = Field(
        default=SecretStr(""), description="Bearer token for `/metrics`; without one there are no metrics."
    )
    webhook_secret: SecretStr = Field(
        default=SecretStr(""), description="Signing secret of StackOne's webhooks; without one they are refused."
    )
    webhook_secret_next: SecretStr = Field(
        default=SecretStr(""), description="A second one, while the first is being replaced."
    )
    prefect_url: SafeUrl | None = Field(default=None, description="Prefect's pages, for links.")
    oidc: OidcSettings = OidcSettings()


class Settings(Branch):
    """Everything keyturn is told from outside. Made by `load`; constructed directly it reads nothing."""

    manifests: Path = Field(default=Path("integrations"), description="Folder of the manifests.")
    config: Path | None = Field(default=None, description="TOML file with the same tree as these settings.")
    sandbox_clock: Path | None = Field(
        default=None, description="File that moves the clock: for the sandbox only, never in production."
    )
    notify_link: SafeUrl | None = Field(default=None, description="Page that notices about no run lead to.")
    ledger: LedgerSettings = LedgerSettings()
    vault: VaultSettings = VaultSettings()
    stackone: StackOneSettings = StackOneSettings()
    gong: GongSettings = GongSettings()
    waiting: WaitingSettings = WaitingSettings()
    watch: WatchSettings = WatchSettings()
    console: ConsoleSettings = ConsoleSettings()
    rotation: RotationSettings = RotationSettings()
    worker: WorkerSettings = WorkerSettings()

    def require_ledger_url(self) -> str:
        """The ledger's address with its password, or a ConfigurationError that says how to set it."""
        remedy = "Set it to postgresql://user:password@host/keyturn."
        if self.console.url:
            remedy = f"The console does not do this for you: run it on a machine with the ledger. {remedy}"
        return _required(self.ledger.url, "KEYTURN_LEDGER__URL", remedy).get_secret_value()

    def require_stackone_key(self) -> SecretStr:
        """The StackOne API key, or a ConfigurationError that says how to set it."""
        remedy = "Make a key with the scopes Platform API and Actions in StackOne's dashboard, and set it."
        return _required(self.stackone.api_key, "KEYTURN_STACKONE__API_KEY", remedy)


def _required(value: SecretStr, name: str, remedy: str) -> SecretStr:
    if not value.get_secret_value():
        raise ConfigurationError(name, "is not set", remedy)
    return value
