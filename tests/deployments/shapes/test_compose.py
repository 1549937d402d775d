"""compose.yaml and what lies beside it fit together; nothing is started in containers here."""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from keyturn import settings
from keyturn.console import premises
from keyturn.console.sign_in.provider import CALLBACK
from tests.deployments.shapes_of import DEPLOYMENTS, program, read_yaml, strangers

FOLDER = DEPLOYMENTS / "compose"
FILE = FOLDER / "compose.yaml"
COMPOSE: dict[str, Any] = read_yaml(FILE)[0]
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = dict(
    line.split("=", 1) for line in (FOLDER / ".env.example").read_text().splitlines() if line and line[0] != "#"
)
ONCE = {"prefect-upgrade", "ledger-upgrade", "deployments"}
services = pytest.mark.parametrize("name", SERVICES)


def filled(value: Any) -> str:
    """A value with the variables of `.env.example` put in, as compose does it."""

    def put(found: re.Match[str]) -> str:
        name, fallback = found["name"], found["fallback"]
        return EXAMPLE.get(name) or fallback or ""

    pattern = r"\$\{(?P<name>\w+)(?::-(?P<fallback>[^}]*)|:\?[^}]*)?\}"
    return re.sub(pattern, put, str(value)).replace("$$", "$")


def secrets_of(service: dict[str, Any]) -> dict[str, str]:
    """Where the service finds which secret."""
    given = [s if isinstance(s, dict) else {"source": s, "target": s} for s in service.get("secrets", ())]
    return {f"/run/secrets/{secret['target']}": secret["source"] for secret in given}


def seconds(text: str) -> int:
    """A length of time as compose writes it; here always whole seconds."""
    return int(text.removesuffix("s"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that secrets.sh makes."""
    folder = tmp_path_factory.mktemp("made")
    told = {"PATH": os.environ["PATH"], "SECRETS_FOLDER": str(folder)}
    subprocess.run([FOLDER / "secrets.sh", "example.com"], env=told, check=True, timeout=60)
    return folder / "secrets"


def test_it_is_a_compose_file() -> None:
    """As the specification of Compose has it."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@services
def test_each_variable_is_a_setting(name: str) -> None:
    """A misspelt one would be passed over by Prefect, and would keep keyturn from starting."""
    assert strangers(set(SERVICES[name].get("environment", {}))) == set()


def test_a_misspelt_variable_would_be_noticed() -> None:
    """What the test above looks with can tell."""
    wrong = {"KEYTURN_VAULT_ADDR", "PREFECT_API_ADDRESS", "PREFECT_REDIS_MESSAGING_HOSTS"}
    assert strangers(wrong | {"PREFECT_API_URL", "KEYTURN_VAULT__ADDR", "PATH"}) == wrong


def test_variables_for_prefect_that_hold_secrets_are_settings(made: Path) -> None:
    """Those in the files that compose reads itself."""
    lines = [line for file in made.glob("*.env") for line in file.read_text().splitlines()]
    names = {line.partition("=")[0] for line in lines}
    assert len(names) >= 6
    assert strangers(names) == set()


def test_each_variable_of_compose_is_in_the_example() -> None:
    """Whoever copies `.env.example` is asked for everything that there is to say."""
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", FILE.read_text()))
    assert used - {"OPENBAO_IMAGE"} == set(EXAMPLE)
    assert [name for name in EXAMPLE if re.search(r"SECRET|PASSWORD|TOKEN|KEY$", name)] == []


@services
def test_each_file_that_is_mounted_exists(name: str) -> None:
    """Docker would make a folder in place of one that does not, and the service would not start."""
    volumes = [filled(volume).split(":") for volume in SERVICES[name].get("volumes", ())]
    for source, *_ in volumes:
        if source[0] == ".":
            assert (FOLDER / source).exists(), source
        else:
            assert source in COMPOSE["volumes"]


def test_each_secret_is_made_given_and_used(made: Path) -> None:
    """secrets.sh makes every file that compose.yaml names, and no container gets one that is not declared."""
    files = {name: FOLDER / secret["file"] for name, secret in COMPOSE["secrets"].items()}
    assert [name for name, file in files.items() if not (made / file.name).exists()] == []
    given = {secret for service in SERVICES.values() for secret in secrets_of(service).values()}
    assert given == set(COMPOSE["secrets"])
    read = {filled(path) for service in SERVICES.values() for path in service.get("env_file", ())}
    assert [path for path in read if not (made.parent / path).exists()] == []


@services
def test_what_is_read_from_secrets_is_given(name: str) -> None:
    """Every path below /run/secrets that a service names is one that it gets."""
    service = SERVICES[name]
    told = f"{service.get('environment')} {service.get('command')} {service.get('healthcheck')}"
    for volume in service.get("volumes", ()):
        source = FOLDER / filled(volume).split(":")[0]
        told += source.read_text() if source.is_file() else ""
    named = set(re.findall(r"/run/secrets/[\w.-]+", told))
    assert named <= set(secrets_of(service))
    assert (not secrets_of(service)) or named or name == "postgres"


def test_secrets_are_closed_to_others_and_kept(made: Path) -> None:
    """Only their owner can enter the folder, and making them again changes none."""
    assert made.stat().st_mode & 0o777 == 0o700
    private = [p.name for p in made.iterdir() if p.suffix == ".env" or p.name in {"ca.key", "prefect_login"}]
    assert len(private) == 4
    assert [name for name in private if (made / name).stat().st_mode & 0o077] == []
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    told = {"PATH": os.environ["PATH"], "SECRETS_FOLDER": str(made.parent)}
    subprocess.run([FOLDER / "secrets.sh", "elsewhere.example.com"], env=told, check=True, timeout=60)
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


@pytest.mark.parametrize(("service", "file"), [("worker", "worker.toml"), ("console-1", "console.toml")])
def test_keyturn_can_load_what_it_is_given(made: Path, tmp_path: Path, service: str, file: str) -> None:
    """The made file, once the empty places are filled in, with the service's own variables."""
    told = (made / file).read_text()
    config = tmp_path / "keyturn.toml"
    config.write_text(told.replace('= ""', '= "filled-in"'))
    paths = {"KEYTURN_CONFIG": str(config), "KEYTURN_VAULT__CA_FILE": str(made / "ca.pem")}
    variables = {n: filled(v) for n, v in SERVICES[service]["environment"].items() if n.startswith("KEYTURN_")}
    loaded = settings.load(variables | paths)
    assert loaded.require_ledger_url().endswith("@postgres/keyturn")
    assert tomllib.loads(told)["vault"] == {"role_id": "", "secret_id": ""}
    if service != "worker":
        premises.check_serving(loaded.console)


def test_the_ledger_can_be_upgraded_before_vault_is_there(made: Path) -> None:
    """Its file is enough, so the order of a first start is free there."""
    variables = SERVICES["ledger-upgrade"]["environment"] | {"KEYTURN_CONFIG": str(made / "ledger.toml")}
    assert settings.load(variables).require_ledger_url().startswith("postgresql://keyturn:")


def test_only_nginx_is_published() -> None:
    """Everything else is behind it, and the databases are not even in its network."""
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert [name for name, service in SERVICES.items() if "edge" in service["networks"]] == ["nginx"]
    inside = {name for name, network in COMPOSE["networks"].items() if (network or {}).get("internal")}
    assert inside == {"inside", "data"}
    assert {name for name, service in SERVICES.items() if set(service["networks"]) - inside} == {
        "nginx", "worker", "console-1", "console-2"}  # fmt: skip
    assert "data" not in SERVICES["nginx"]["networks"]


@services
def test_each_service_can_do_little(name: str) -> None:
    """A read-only file system, no capabilities, no more rights than at the start, a limit, and logs that end."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    image = filled(service["image"])
    assert image.startswith(("keyturn:", "prom/", "grafana/")) or "user" in service


@services
def test_each_service_starts_again_and_says_how_it_is(name: str) -> None:
    """What runs for ever comes back; what runs once is tried again a few times, and has nothing to say."""
    service = SERVICES[name]
    check = service.get("healthcheck", {})
    if name in ONCE:
        assert service["restart"] == "on-failure:5"
    else:
        assert service["restart"] == "unless-stopped"
        assert check.get("test") or name == "prefect-services"
        assert seconds(service["stop_grace_period"]) >= 15 or name == "prefect-services"
    if "test" in check:
        assert seconds(check["timeout"]) < seconds(check["interval"]) or name == "postgres"


@services
def test_whoever_waits_waits_for_what_can_come(name: str) -> None:
    """For the end of what runs once, and for the health of what has a check."""
    waits = SERVICES[name].get("depends_on", {})
    for other, how in waits.items() if isinstance(waits, dict) else ((o, {}) for o in waits):
        condition = how.get("condition")
        assert (condition == "service_completed_successfully") is (other in ONCE)
        assert condition != "service_healthy" or "test" in SERVICES[other]["healthcheck"]


def test_addresses_agree() -> None:
    """The proxy finds each server at the address that it has, and the consoles trust it and nobody else."""
    (subnet,) = (ipaddress.ip_network(part["subnet"]) for part in COMPOSE["networks"]["inside"]["ipam"]["config"])
    (dealt,) = (ipaddress.ip_network(part["ip_range"]) for part in COMPOSE["networks"]["inside"]["ipam"]["config"])
    fixed = {
        name: ipaddress.ip_address(service["networks"]["inside"]["ipv4_address"])
        for name, service in SERVICES.items()
        if isinstance(service["networks"], dict) and "ipv4_address" in (service["networks"].get("inside") or {})
    }
    nginx = fixed.pop("nginx")
    assert {name: str(address) for name, address in fixed.items()} == SERVICES["nginx"]["extra_hosts"]
    assert all(address in subnet and address not in dealt for address in (nginx, *fixed.values()))
    assert len({nginx, *fixed.values()}) == len(fixed) + 1
    for console in ("console-1", "console-2"):
        assert SERVICES[console]["environment"]["KEYTURN_CONSOLE__TRUSTED_PROXIES"] == str(nginx)
    assert f'"{nginx}"' in (FOLDER / "openbao.hcl").read_text()


def test_there_is_more_than_one_of_what_people_wait_for() -> None:
    """Two Prefect servers, two consoles, three workers and three nodes of OpenBao, and one for the rest."""
    assert SERVICES["worker"]["deploy"]["replicas"] == 3
    for many in (("prefect-1", "prefect-2"), ("console-1", "console-2"), ("openbao-1", "openbao-2", "openbao-3")):
        assert set(many) <= SERVICES.keys()
    assert [n for n, s in SERVICES.items() if s.get("command") == ["prefect", "server", "services", "start"]] == [
        "prefect-services"
    ]
    assert all("--no-services" in SERVICES[name]["command"] for name in ("prefect-1", "prefect-2"))


def test_what_servers_share_is_there() -> None:
    """Each module of prefect-redis that Prefect is told to load can be loaded, and has the secrets that it needs."""
    told = SERVICES["prefect-1"]["environment"]
    modules = {value for value in told.values() if str(value).startswith("prefect_redis.")}
    assert len(modules) == 4
    assert [name for name in modules if find_spec(name) is None] == []
    assert SERVICES["prefect-services"]["environment"] == told


def test_the_readme_names_what_the_console_serves() -> None:
    """The address that is registered at the OpenID provider is the one that the console sends people back to."""
    assert f"https://console.DOMAIN{CALLBACK}`" in (FOLDER / "README.md").read_text()


def test_a_worker_is_given_the_time_it_takes() -> None:
    """Docker kills it only well after it has handed its last run back."""
    grace = settings.WorkerSettings().grace_s
    assert seconds(SERVICES["worker"]["stop_grace_period"]) >= 2 * grace


@pytest.fixture
def prometheus(made: Path, tmp_path: Path) -> Path:
    """Prometheus' folder as it is in the container."""
    told = (FOLDER / "prometheus.yml").read_text().replace("/run/secrets/", f"{made}/")
    (tmp_path / "prometheus.yml").write_text(told)
    (tmp_path / "rules.yml").write_bytes((DEPLOYMENTS / "prometheus" / "rules.yml").read_bytes())
    return tmp_path


def test_prometheus_takes_its_configuration(prometheus: Path) -> None:
    """With the rules and the token where the container has them."""
    command = [program("promtool"), "check", "config", "--lint-fatal", "prometheus.yml"]
    done = subprocess.run(command, cwd=prometheus, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_asks_each_console() -> None:
    """By the port that it listens on; the job is called what the alerts look for."""
    (job,) = read_yaml(FOLDER / "prometheus.yml")[0]["scrape_configs"]
    port = SERVICES["console-1"]["environment"]["KEYTURN_CONSOLE__PORT"]
    assert (
        job["job_name"] == read_yaml(DEPLOYMENTS / "prometheus" / "prometheus.yml")[0]["scrape_configs"][0]["job_name"]
    )
    assert job["static_configs"][0]["targets"] == [f"{name}:{port}" for name in ("console-1", "console-2")]


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    """The folder that it looks in is the one that the dashboard is mounted to."""
    mounts = {
        target: FOLDER / source for source, target, _ in (v.split(":") for v in SERVICES["grafana"]["volumes"][:3])
    }
    (source,) = read_yaml(FOLDER / "grafana" / "datasource.yml")[0]["datasources"]
    (provider,) = read_yaml(FOLDER / "grafana" / "dashboards.yml")[0]["providers"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert f"{provider['options']['path']}/keyturn.json" in mounts
    assert all(path.is_file() for path in mounts.values())
