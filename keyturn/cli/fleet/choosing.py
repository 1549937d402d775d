"""Which integrations a command is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from keyturn.errors import ConfigurationError, ManifestError
from keyturn.services.fleet_files import Meant, Wanted

if TYPE_CHECKING:
    from keyturn.cli.away import Away
    from keyturn.console.api.desk import Desk

_DURATION = re.compile(r"(\d{1,6})([smhd]?)")
_LONGEST = timedelta(days=3650)
_UNITS = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def is_one(words: Sequence[str] | None, *, everything: bool) -> bool:
    """Whether the command is about one integration, and so does what it does for one."""
    return not everything and bool(words) and Wanted(words or (), list).is_one


def by_manifest(desk: Desk | Away, words: Sequence[str] | None, command: str, *, everything: bool) -> list[Meant]:
    """What is meant, for a command that goes by manifests: `--all` is the settings' folder.

    Raises:
        ConfigurationError: nothing is named, or what is named is not there.
    """
    _require_either(words, command, everything=everything)
    return desk.manifests() if everything else Wanted(words or (), desk.integrations).meant


def by_key(desk: Desk | Away, words: Sequence[str] | None, command: str, *, everything: bool) -> list[Meant]:
    """What is meant, for a command that goes by what is in the ledger: `--all` is every registered integration.

    Raises:
        ConfigurationError: nothing is named, or what is named is not there.
    """
    _require_either(words, command, everything=everything)
    if everything:
        return [Meant(str(key), key) for key in desk.integrations()]
    return [_with_key(one) for one in Wanted(words or (), desk.integrations).meant]


def duration(text: str) -> timedelta:
    """Read `90m`, `36h` or `7d`.

    Raises:
        ConfigurationError: it is none, or longer than ten years.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ConfigurationError(text, "is not a duration", "Give a number with s, m, h or d, as in 90m.")
    read = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if read > _LONGEST:
        raise ConfigurationError(text, "is longer than ten years", "Give at most 3650d.")
    return read


def _with_key(one: Meant) -> Meant:
    if one.key is not None or one.fault is not None:
        return one
    fault = ManifestError(one.word, "does not say which integration it is about", "Run `keyturn lint` for its faults.")
    return Meant(one.word, None, fault)


def _require_either(words: Sequence[str] | None, command: str, *, everything: bool) -> None:
    subject = f"keyturn {command}"
    if everything and words:
        raise ConfigurationError(subject, "is given names and --all", "Give one or the other.")
    if not everything and not words:
        raise ConfigurationError(subject, "which integrations?", "Name some, or give --all.")
