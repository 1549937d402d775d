"""One frozen settings tree, read once: environment variables `KEYTURN_…`, then an optional TOML file.

Nesting is written with two underscores: `KEYTURN_VAULT__ADDR`. The file is `keyturn.toml` in the working directory, or
what `KEYTURN_CONFIG` names; it has the same tree (`[vault] addr = "…"`). An empty variable counts as not set. Prefect
is configured by Prefect's own variables.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from keyturn.errors import ConfigurationError
from keyturn.settings.branch import LOOPBACK, SafeUrl
from keyturn.settings.tree import (
    ConsoleSettings,
    LedgerSettings,
    OidcSettings,
    RotationSettings,
    Settings,
    VaultAuth,
    VaultSettings,
    WaitingSettings,
    WatchSettings,
    WorkerSettings,
)
from keyturn.settings.vendors import GongSettings, StackOneSettings, WriterSetting

__all__ = [
    "LOOPBACK",
    "ConsoleSettings",
    "GongSettings",
    "LedgerSettings",
    "OidcSettings",
    "RotationSettings",
    "SafeUrl",
    "Settings",
    "StackOneSettings",
    "VaultAuth",
    "VaultSettings",
    "WaitingSettings",
    "WatchSettings",
    "WorkerSettings",
    "WriterSetting",
    "load",
    "reference",
]

_PREFIX = "KEYTURN_"
_OTHERS = ("KEYTURN_DEMO__", "KEYTURN_TEST_")  # read where they are used


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
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
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
