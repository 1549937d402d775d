"""One frozen settings tree, read once: environment variables `KEYTURN_…`, then an optional TOML file.

Nesting is written with two underscores: `KEYTURN_VAULT__ADDR`. The file is `keyturn.toml` in the working directory, or
what `KEYTURN_CONFIG` names; it has the same tree (`[vault] addr = "…"`). An empty variable counts as not set. Prefect
is configured by Prefect's own variables.
"""

from __future__ import annotations

import difflib
import os
import ssl
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from keyturn.errors import ConfigurationError

_PREFIX = "KEYTURN_"
_OTHERS = ("KEYTURN_DEMO__", "KEYTURN_CONSOLE__", "KEYTURN_TEST_")  # read where they are used
LOOPBACK = frozenset({"127.0.0.1", "[::1]", "localhost"})
_MOUNT = r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$"


def _safe(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.scheme != "https" and url.host not in LOOPBACK:
        raise ValueError("use https: secrets travel there, and http is only for 127.0.0.1 and localhost")
    if url.username or url.password:
        raise ValueError("an address holds no user name or password: give them in the settings made for them")
    return url


SafeUrl = Annotated[AnyHttpUrl, AfterValidator(_safe)]


class VaultAuth(StrEnum):
    """How keyturn itself signs in to Vault."""

    TOKEN = "token"  # noqa: S105  the name of a method
    APPROLE = "approle"


class WriterSetting(StrEnum):
    """How the profile writer is chosen."""

    AUTO = "auto"
    API = "api"
    ASSISTED = "assisted"


class _Branch(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class LedgerSettings(_Branch):
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


class VaultSettings(_Branch):
    """Vault or OpenBao."""

    addr: SafeUrl = Field(default=AnyHttpUrl("http://127.0.0.1:8200"), description="Address of Vault or OpenBao.")
    mount: str = Field(default="keyturn", pattern=_MOUNT, description="Path of the KV version 2 mount.")
    transit_mount: str = Field(
        default="transit", pattern=_MOUNT, description="Path of the transit mount with the fingerprint key."
    )
    namespace: str = Field(default="", pattern=r"^[!-~]*$", description="Vault namespace, if any.")
    ca_file: Path | None = Field(default=None, description="CA certificate for Vault's TLS, a PEM file.")
    auth: VaultAuth = Field(default=VaultAuth.TOKEN, description="How keyturn signs in: `token` or `approle`.")
    role_id: str = Field(default="", validate_default=True, description="AppRole role id, for `auth = approle`.")
    secret_id: SecretStr = Field(
        default=SecretStr(""), validate_default=True, description="AppRole secret id, for `auth = approle`."
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

    def require_sign_in(self) -> None:
        """Raise a ConfigurationError if sign-in is by token and none is set."""
        if self.auth is VaultAuth.TOKEN:
            _required(self.token, "KEYTURN_VAULT__TOKEN", "Set it, or sign in by AppRole: KEYTURN_VAULT__AUTH=approle.")


class StackOneSettings(_Branch):
    """StackOne's platform API."""

    base_url: SafeUrl = Field(
        default=AnyHttpUrl("https://api.stackone.com"), description="Platform API, or a regional host."
    )
    api_key: SecretStr = Field(default=SecretStr(""), description="API key with the scopes Platform API and Actions.")
    spec_url: SafeUrl | None = Field(
        default=None, description="OpenAPI document; without it `{base_url}/oas/stackone.json`, then the public one."
    )
    dashboard_url: SafeUrl = Field(default=AnyHttpUrl("https://app.stackone.com"), description="Dashboard, for people.")
    profile_writer: WriterSetting = Field(
        default=WriterSetting.AUTO,
        description="`auto` (the API only if the live document offers it), `api`, `assisted`.",
    )
    link_expires_s: int = Field(default=1800, ge=60, le=432_000, description="Life of an auth link, in seconds.")


class GongSettings(_Branch):
    """Gong's OAuth endpoints and pages."""

    token_url: SafeUrl = Field(
        default=AnyHttpUrl("https://app.gong.io/oauth2/generate-customer-token"), description="Token endpoint."
    )
    authorize_url: SafeUrl = Field(
        default=AnyHttpUrl("https://app.gong.io/oauth2/authorize"), description="Authorization endpoint."
    )
    admin_url: SafeUrl = Field(
        default=AnyHttpUrl("https://app.gong.io"), description="Where Gong's Admin center is, for people."
    )
    probe: bool = Field(default=True, description="Whether credentials are tried on Gong's token endpoint.")


class WaitingSettings(_Branch):
    """How long a run keeps its worker while it waits for something that a person may do at once."""

    in_process_s: float = Field(
        default=120.0, ge=0, description="Seconds a run polls for a consent or a hand-made profile before it suspends."
    )
    first_interval_s: float = Field(default=1.0, gt=0, description="First polling interval, in seconds; it grows.")
    longest_interval_s: float = Field(default=15.0, gt=0, description="Longest polling interval, in seconds.")


class RotationSettings(_Branch):
    """What the sweep does."""

    at_once: int = Field(default=5, ge=1, description="Rotations that may be under way and not verified at once.")


class WatchSettings(_Branch):
    """How integrations are looked at."""

    check_every_s: float = Field(default=900.0, gt=0, description="Seconds after which integrations are checked again.")
    keep_days: int = Field(default=90, ge=1, description="Days that observations are kept.")
    threads: int = Field(default=8, ge=1, le=64, description="How many integrations one worker checks at once.")
    claim: int = Field(default=200, ge=1, description="How many integrations one round takes on at most.")


class Settings(_Branch):
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
    rotation: RotationSettings = RotationSettings()

    def require_ledger_url(self) -> str:
        """The ledger's address with its password, or a ConfigurationError that says how to set it."""
        remedy = "Set it to postgresql://user:password@host/keyturn."
        return _required(self.ledger.url, "KEYTURN_LEDGER__URL", remedy).get_secret_value()

    def require_stackone_key(self) -> SecretStr:
        """The StackOne API key, or a ConfigurationError that says how to set it."""
        remedy = "Make a key with the scopes Platform API and Actions in StackOne's dashboard, and set it."
        return _required(self.stackone.api_key, "KEYTURN_STACKONE__API_KEY", remedy)


class _Environment(Settings, BaseSettings):
    """How pydantic-settings finds the tree in the environment. Never instantiated."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_nested_delimiter="__")


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the environment, and the TOML file if there is one; the environment wins.

    Raises:
        ConfigurationError: with all faults at once, one a line, each naming its variable. No value is ever shown.
    """
    file = Path(environ.get("KEYTURN_CONFIG") or "keyturn.toml")
    faults = _unknown_variables(environ)
    from_file = _from_file(file, faults, needed=bool(environ.get("KEYTURN_CONFIG")))
    try:
        settings = Settings.model_validate(_merged(from_file, _from_environment(environ)))
    except ValidationError as error:
        faults += [_fault(tuple(map(str, e["loc"])), e["type"], e["msg"], file) for e in error.errors()]
    if faults:
        problem = "\n  ".join([f"{len(faults)} to correct", *faults])
        raise ConfigurationError("settings", problem, "Correct what is named here; README.md lists every setting.")
    return settings


def reference() -> str:
    """Every setting as a Markdown table: variable, meaning, default."""
    rows = [f"| `{name}` | {field.description} | {_shown(field)} |" for name, (_, field) in _variables().items()]
    return "\n".join(["| Variable | Meaning | Default |", "|---|---|---|", *rows]) + "\n"


def _variables() -> dict[str, tuple[tuple[str, ...], FieldInfo]]:
    return {_PREFIX + "__".join(path).upper(): (path, field) for path, field in _leaves(Settings, ())}


def _leaves(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, _Branch):
            yield from _leaves(field.annotation, (*above, name))
        else:
            yield (*above, name), field


def _shown(field: FieldInfo) -> str:
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "none" if value in (None, "") else f"`{value}`"


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    source = EnvSettingsSource(_Environment)
    source.env_vars = {name.lower(): environ[name] for name in _variables() if environ.get(name)}
    return source()


def _from_file(file: Path, faults: list[str], *, needed: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if needed:
            faults.append(f"KEYTURN_CONFIG: there is no file {file}. Give the path of a TOML file, or unset it.")
    except tomllib.TOMLDecodeError as error:
        # The message says what was expected and where, never what was found.
        faults.append(f"{file}: is not TOML: {error}.")
    except (OSError, UnicodeDecodeError):
        faults.append(f"{file}: cannot be read as text. Check its permissions and that it is UTF-8.")
    return {}


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = below.keys() & above.keys()
    nested = {k: _merged(below[k], above[k]) for k in both if isinstance(below[k], dict) and isinstance(above[k], dict)}
    return below | above | nested


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    known = _variables()
    ours = [name for name in environ if name.startswith(_PREFIX) and not name.startswith(_OTHERS)]
    return [f"{name}: is unknown. {_nearest(name, known)}" for name in sorted(ours) if name not in known]


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean {near[0]}?" if near else "Unset it."


def _fault(path: tuple[str, ...], kind: str, message: str, file: Path) -> str:
    name, known = _PREFIX + "__".join(path).upper(), _variables()
    if kind == "extra_forbidden":
        return f"{'.'.join(path)} in {file}: is unknown. {_nearest(name, known)}"
    said = message.removeprefix("Value error, ")
    if name not in known:
        return f"{'.'.join(path)} in {file}: {said}."
    return f"{name}: {said[0].lower()}{said[1:]}. It is: {known[name][1].description}"


def _required(value: SecretStr, name: str, remedy: str) -> SecretStr:
    if not value.get_secret_value():
        raise ConfigurationError(name, "is not set", remedy)
    return value
