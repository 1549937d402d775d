"""What is done again at every start, or after a first start that failed, spoils nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.deployments.shapes_of import DEPLOYMENTS, executable, program, read_yaml

_COMPOSE = read_yaml(DEPLOYMENTS / "compose" / "compose.yaml")[0]["services"]["deployments"]["command"]
_JOB = read_yaml(DEPLOYMENTS / "kubernetes" / "deployments.yaml")[0]["spec"]["template"]["spec"]
_SECRETS = str(DEPLOYMENTS / "compose" / "secrets.sh")


@pytest.mark.parametrize("command", [_COMPOSE, _JOB["containers"][0]["command"]], ids=["compose", "kubernetes"])
@pytest.mark.parametrize("there", [True, False])
def test_a_pool_that_is_there_is_left_as_it_is(command: list[str], *, there: bool, tmp_path: Path) -> None:
    """It is made if it is missing; the limit and the pause that people set stay."""
    said = tmp_path / "said"
    executable(tmp_path / "prefect", f'echo "$2 $3" >> {said}\n[ "$3" != inspect ] || exit {int(not there)}')
    told = {"PATH": f"{tmp_path}:/usr/bin:/bin", "POOL_TYPE": "warm"}
    subprocess.run([part.replace("$$", "$") for part in command], env=told, check=True, timeout=30)
    created = [] if there else ["work-pool create"]
    assert said.read_text().splitlines() == ["work-pool inspect", *created, "deploy --all"]


def test_a_pool_of_jobs_is_not_made_without_its_template(tmp_path: Path) -> None:
    """Its runs would have none of keyturn's settings; the Job fails until somebody has made it."""
    said = tmp_path / "said"
    executable(tmp_path / "prefect", f'echo "$2 $3" >> {said}\n[ "$3" != inspect ] || exit 1')
    told = {"PATH": f"{tmp_path}:/usr/bin:/bin", "POOL_TYPE": "kubernetes"}
    done = subprocess.run(_JOB["containers"][0]["command"], env=told, check=False, timeout=30)
    assert done.returncode == 1
    assert said.read_text().splitlines() == ["work-pool inspect"]


@pytest.mark.parametrize("broken", [False, True], ids=["absent", "silent"])
def test_no_secret_is_empty(*, broken: bool, tmp_path: Path) -> None:
    """Without an openssl that works nothing is kept, and a second run with one makes everything."""
    programs, folder = tmp_path / "bin", tmp_path / "made"
    programs.mkdir()
    folder.mkdir()
    for name in ("sh", "mkdir", "chmod", "cat", "mv", "rm", "tr", "dirname"):
        (programs / name).symlink_to(program(name))
    if broken:
        executable(programs / "openssl", "exit 1")
    told = {"PATH": str(programs), "SECRETS_FOLDER": str(folder)}
    first = subprocess.run([_SECRETS, "example.com"], env=told, check=False, timeout=60)
    assert first.returncode == 1
    assert [file for file in folder.rglob("*") if file.is_file()] == []
    (programs / "openssl").unlink(missing_ok=True)
    (programs / "openssl").symlink_to(program("openssl"))
    subprocess.run([_SECRETS, "example.com"], env=told, check=True, timeout=60)
    assert all(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert len((folder / "secrets" / "redis.conf").read_text()) > len("requirepass \n")
