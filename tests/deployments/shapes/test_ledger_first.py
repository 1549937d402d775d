"""Whoever uses the ledger starts when its tables are those of the version that starts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from keyturn import settings
from keyturn.errors import ConfigurationError, UnavailableError
from tests.deployments.shapes.test_kubernetes import PODS, README, Pod
from tests.deployments.shapes_of import executable, strangers

WAITING = [pod for pod in PODS if pod.name in {"keyturn-worker", "keyturn-console", "run"}]
each_waiting = pytest.mark.parametrize("pod", WAITING, ids=lambda pod: pod.name)


@each_waiting
def test_it_has_what_it_asks_with(pod: Pod, tmp_path: Path) -> None:
    """The ledger's address is in the file that is mounted, and it needs no other setting."""
    (first,) = pod.spec["initContainers"]
    mounted = {mount["name"]: mount["mountPath"] for mount in first["volumeMounts"]}
    assert mounted == {m["name"]: m["mountPath"] for m in pod.container["volumeMounts"] if m["name"] in mounted}
    (told,) = first["env"]
    assert strangers({told["name"]}) == set()
    assert told["value"] == f"{mounted['config']}/keyturn.toml"
    (tmp_path / "it").write_text('[ledger]\nurl = "postgresql://keyturn:x@db/keyturn"\n[stackone]\napi_key = "x"\n')
    assert settings.load({told["name"]: str(tmp_path / "it")}).require_ledger_url().endswith("@db/keyturn")


@each_waiting
@pytest.mark.parametrize(
    ("answers", "asked"),
    [((0,), 1), ((1, 1, UnavailableError.exit_code, 0), 4), ((1, ConfigurationError.exit_code), 2)],
    ids=["ready", "pending", "newer"],
)
def test_it_waits_as_long_as_that_helps(pod: Pod, tmp_path: Path, answers: tuple[int, ...], asked: int) -> None:
    """While migrations are pending or the ledger is away; a newer ledger, or a wrong setting, does not get better."""
    (tmp_path / "answers").write_text("".join(f"{answer}\n" for answer in answers))
    executable(tmp_path / "sleep", "")
    executable(
        tmp_path / "keyturn",
        f'cd {tmp_path}; echo "$*" >> said; answer=$(head -n 1 answers); sed -i 1d answers; exit "$answer"',
    )
    command = pod.spec["initContainers"][0]["command"]
    subprocess.run(command, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True, timeout=30)
    assert (tmp_path / "said").read_text().splitlines() == ["db status"] * asked


def test_an_upgrade_is_in_order() -> None:
    """Tables, workers, consoles, as the operators' guide has it."""
    upgrade = README[README.index("## Upgrade") :]
    waits = ("job/keyturn-ledger-upgrade", "deployment/keyturn-worker", "deployment/keyturn-console")
    steps = ("notin (worker, console)", waits[0], "notin (console)", *waits[1:])
    places = [upgrade.index(step) for step in steps]
    assert places == sorted(places)
    labelled = {pod.name: pod.labels["app.kubernetes.io/component"] for pod in PODS}
    assert (labelled["keyturn-worker"], labelled["keyturn-console"]) == ("worker", "console")
