"""The channels by which people are told, as an administrator keeps them in Vault: their URLs hold secrets."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from keyturn.clients.vault.kv import KeyValue, Stored
from keyturn.clients.vault.session import VaultSession
from keyturn.domain.notice import Event, Severity
from keyturn.errors import ConfigurationError
from keyturn.ports import Channel
from keyturn.settings import VaultSettings

PATH = "notify/channels"
_REMEDY = "Correct it with `vault kv put`, as deployments/vault/README.md says, then run `keyturn notify test`."


class VaultChannels:
    """Implements `keyturn.ports.Channels`, with keyturn's own authority."""

    def __init__(self, session: VaultSession, settings: VaultSettings) -> None:
        self._kv, self._mount = KeyValue(session, settings.mount), settings.mount

    def channels(self) -> Sequence[Channel]:
        """All channels; none when nothing was ever written, or it was deleted.

        Raises:
            ConfigurationError: with every fault, by its field; no value is shown.
        """
        stored = self._kv.read(PATH)
        return [] if stored.data is None else self._checked(stored)

    def _checked(self, stored: Stored) -> list[Channel]:
        try:
            found = _Stored.model_validate(stored.data).channels
        except ValidationError as error:
            problem = "; ".join(_fault(detail) for detail in error.errors(include_url=False, include_input=False))
        else:
            return [Channel(c.name, c.url.get_secret_value(), c.at_least, tuple(c.events)) for c in found]
        # Out here, so that the error with its input is not even this one's context.
        raise ConfigurationError(f"Vault {self._mount}/{PATH}", problem, _REMEDY)


def _like_a_url(url: SecretStr) -> SecretStr:
    if "://" not in url.get_secret_value():
        raise ValueError("is no URL, such as mailto://… or slack://…")
    return url


def _matching_something(pattern: str) -> str:
    if not any(fnmatchcase(event, pattern) for event in Event):
        raise ValueError(f"matches no event; there are {', '.join(Event)}")
    return pattern


class _Branch(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _StoredChannel(_Branch):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    url: Annotated[SecretStr, AfterValidator(_like_a_url)]
    at_least: Severity = Severity.WARNING
    events: list[Annotated[str, AfterValidator(_matching_something)]] = Field(default=["*"], min_length=1)


def _with_names_of_their_own(channels: list[_StoredChannel]) -> list[_StoredChannel]:
    if len({channel.name for channel in channels}) < len(channels):
        raise ValueError("two channels have one name")
    return channels


class _Stored(_Branch):
    channels: Annotated[list[_StoredChannel], AfterValidator(_with_names_of_their_own)]


def _fault(detail: ErrorDetails) -> str:
    path = detail["loc"]
    if detail["type"] == "extra_forbidden":
        # Its name is left out, too: somebody may have written a URL where a name belongs.
        return f"{_dotted(path[:-1]) or 'the top'}: has a field that is unknown"
    return f"{_dotted(path)}: {detail['msg'].removeprefix('Value error, ')}"


def _dotted(path: Sequence[int | str]) -> str:
    return ".".join(map(str, path))
