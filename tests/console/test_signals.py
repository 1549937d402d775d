"""Health, readiness and metrics, as programs ask for them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from keyturn.console.app import create_app
from keyturn.domain.gate import GateKind
from keyturn.errors import UnavailableError
from keyturn.ledger import migrate
from keyturn.wiring import Ports
from tests.console.conftest import ORIGIN, Console
from tests.fakes.runs import FakeRuns
from tests.services.world import World

TOKEN = "metrics-token-that-nobody-guesses"
METRICS = {"CONSOLE__METRICS_TOKEN": TOKEN}
NOBODY_LISTENS = "http://127.0.0.1:1"
FINE = {"ledger": "ok", "vault": "ok", "prefect": "ok"}

Made = Callable[..., Console]


@pytest.fixture
def made(new_ports: Callable[..., Ports], url: str) -> Iterator[Made]:
    """Make a console with a ledger of its own, under settings changed as told; whatever those name may be away."""
    consoles: list[Console] = []

    def make(**changes: str) -> Console:
        ports = new_ports(**({"LEDGER__URL": url} | changes))
        ports.runs = FakeRuns()
        consoles.append(Console(create_app(ports), ports))
        return consoles[-1]

    yield make
    for console in consoles:
        console.close()


@pytest.fixture
def world(new_world: Callable[..., World], url: str) -> World:
    """An integration's world in the same ledger, whose consoles have metrics."""
    world = new_world(LEDGER__URL=url, **METRICS)
    world.secrets.append(TOKEN)
    return world


@contextmanager
def answering(status: int, body: Mapping[str, Any]) -> Iterator[str]:
    """A server that gives everybody the same answer; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def scrape(console: Console, token: str = TOKEN) -> httpx.Response:
    """Scrape, as Prometheus does."""
    answer: httpx.Response = console.nobody().get("/metrics", headers={"Authorization": f"Bearer {token}"})
    return answer


def samples(console: Console) -> dict[str, float]:
    """Every sample, by its name and its labels' values, as in `keyturn_gates_open approve`."""
    families = text_string_to_metric_families(scrape(console).text)
    return {" ".join([s.name, *s.labels.values()]): s.value for family in families for s in family.samples}


# --- health and readiness


def test_alive_whatever_is_away(made: Made) -> None:
    """A process that answers lives: it is not restarted because its ledger is away."""
    console = made(LEDGER__URL="postgresql://nobody@127.0.0.1:1/keyturn", VAULT__ADDR=NOBODY_LISTENS)
    answer = console.nobody().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


def test_ready(made: Made) -> None:
    """With ledger, Vault and Prefect there, requests may come. Anybody may ask, by whatever name."""
    console = made()
    for origin in (ORIGIN, "http://10.1.2.3:8400"):
        answer = console.nobody().get(f"{origin}/readyz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready", "dependencies": FINE})
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("changes", "fails", "logged", "status"),
    [
        ({"LEDGER__URL": "postgresql://me:hunter2@127.0.0.1:1/keyturn"}, "ledger", "cannot be reached", 503),
        ({"VAULT__ADDR": NOBODY_LISTENS}, "vault", "cannot be reached", 200),
        ({"VAULT__SECRET_ID": "hunter2"}, "vault", "does not accept", 200),
    ],
    ids=["ledger", "vault", "sign-in"],
)
def test_what_is_wrong_is_in_the_log(
    made: Made, changes: dict[str, str], fails: str, logged: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the ledger no requests may come; without Vault pages are read. Why is in the log, and only there."""
    console = made(**changes)
    answer = console.nobody().get("/readyz")
    assert answer.status_code == status
    words = "not ready" if status == 503 else "degraded"
    assert answer.json() == {"status": words, "dependencies": FINE | {fails: "failed"}}
    (line,) = [r.getMessage() for r in caplog.records if r.name == "keyturn.console.readiness"]
    assert line.startswith(f"{fails}: ")
    assert logged in line
    assert "hunter2" not in caplog.text


def test_a_sealed_vault(made: Made) -> None:
    """A Vault that answers and is sealed is as good as away."""
    with answering(503, {"errors": ["Vault is sealed"]}) as addr:
        console = made(VAULT__ADDR=addr)
        assert console.nobody().get("/readyz").json()["dependencies"] == FINE | {"vault": "failed"}


def test_pending_migrations(made: Made, url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A ledger of an older keyturn is none that this one can work with."""
    migrate.downgrade(url, "-1")
    console = made()
    answer = console.nobody().get("/readyz")
    assert (answer.status_code, answer.json()["dependencies"]["ledger"]) == (503, "failed")
    assert "ledger: migrations are pending: " in caplog.text


def test_a_ledger_that_was_upgraded_already(made: Made, url: str) -> None:
    """In the middle of an upgrade this console is the older one, and goes on until the newer one is there."""
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert made().nobody().get("/readyz").json()["dependencies"] == FINE


def test_without_prefect_pages_can_be_read(made: Made) -> None:
    """Prefect away is worth knowing, and no reason to send people elsewhere: decisions are kept all the same."""
    console = made()
    assert isinstance(console.ports.runs, FakeRuns)
    console.ports.runs.failures.append(UnavailableError("http://prefect.invalid/api", "cannot be reached"))
    answer = console.nobody().get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "dependencies": FINE | {"prefect": "failed"}}
    assert "invalid" not in answer.text


def test_the_openid_provider(made: Made) -> None:
    """Where people sign in at a provider, its document is asked for as well; without it nobody new can sign in."""
    document: dict[str, Any] = {f"{name}_endpoint": "https://id.example/x" for name in ("authorization", "token")}
    document["jwks_uri"] = "https://id.example/keys"
    with answering(200, document) as issuer:
        document["issuer"] = issuer
        oidc = {"CONSOLE__OIDC__ISSUER": issuer, "CONSOLE__OIDC__CLIENT_ID": "keyturn"}
        console = made(**oidc)
        assert console.nobody().get("/readyz").json() == {"status": "ready", "dependencies": FINE | {"openid": "ok"}}
    later = made(**oidc)
    answer = later.nobody().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["dependencies"] == FINE | {"openid": "failed"}


# --- metrics


def test_no_metrics_without_a_token(made: Made) -> None:
    """Where no token is set there is nothing to be had, not even with an empty one."""
    console = made()
    assert [scrape(console, token).status_code for token in ("", TOKEN)] == [404, 404]
    assert "keyturn_integrations" not in scrape(console).text


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"])
def test_metrics_are_for_whoever_knows_the_token(made: Made, header: str) -> None:
    """Any other token, or another way of giving it, is refused, and nothing is counted for it."""
    console = made(**METRICS)
    answer = console.nobody().get("/metrics", headers={"Authorization": header}, follow_redirects=False)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "keyturn_" not in answer.text


def test_prometheus_own_checker_is_content(world: World, console: Console) -> None:
    """Promtool finds no fault in names, types and words."""
    world.to_consent()
    console.nobody().get("/healthz")
    answer = scrape(console)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=answer.text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_a_journey_in_numbers(world: World, console: Console) -> None:
    """An integration that waits for consent is counted where it stands, and its gate by its age."""
    world.to_consent()
    world.clock.move(hours=2)
    seen = samples(console)
    assert seen["keyturn_ledger_up"] == 1
    assert {name: value for name, value in seen.items() if name.startswith("keyturn_integrations ") and value} == {
        "keyturn_integrations waiting": 1
    }
    assert seen["keyturn_integrations_health never checked"] == 1
    assert (seen["keyturn_gates_open consent"], seen["keyturn_gates_open approve"]) == (1, 0)
    assert seen["keyturn_gate_age_seconds consent"] == 7200
    assert "keyturn_gate_age_seconds approve" not in seen
    assert seen["keyturn_integrations_unchecked"] == 1
    assert seen["keyturn_secret_age_max_seconds"] >= 7200
    assert world.gate(GateKind.CONSENT)


def test_each_replica_says_the_same(world: World, console: Console, new_console: Callable[[World], Console]) -> None:
    """What is said of the fleet comes from the ledger: another replica, or this one after a restart, says the same."""
    world.to_consent()
    console.nobody().get("/healthz")
    first, second = (of_the_fleet(samples(replica)) for replica in (console, new_console(world)))
    assert first == second
    assert "keyturn_integrations waiting" in first


def of_the_fleet(seen: Mapping[str, float]) -> dict[str, float]:
    """What is no process's own."""
    return {n: value for n, value in seen.items() if n.startswith("keyturn_") and not n.startswith("keyturn_http_")}


def test_a_ledger_that_is_away_is_told(made: Made) -> None:
    """The scrape succeeds, so the console counts as up, and what is missing has a metric of its own."""
    console = made(**METRICS, LEDGER__URL="postgresql://nobody@127.0.0.1:1/keyturn?connect_timeout=1")
    assert scrape(console).status_code == 200
    seen = samples(console)
    assert seen["keyturn_ledger_up"] == 0
    assert not [name for name in seen if name.startswith("keyturn_integrations")]
    assert [name for name in seen if name.startswith("keyturn_build_info ")]


def test_requests_are_counted_by_route(made: Made) -> None:
    """By the route's template and its status: no name of an integration, and nothing that a caller can make up."""
    console = made(**METRICS)
    somebody = console.nobody()
    for tenant in ("acme", "globex", "made-up"):
        somebody.get(f"/integrations/{tenant}/production", follow_redirects=False)
    for path in ("/nowhere", "/nowhere-else", "/static/app.css", "/static/none.css", "/healthz"):
        somebody.get(path)
    somebody.request("BREW", "/healthz")
    counted = {
        name.removeprefix("keyturn_http_requests_total "): value
        for name, value in samples(console).items()
        if name.startswith("keyturn_http_requests_total ")
    }
    assert counted == {
        "GET /integrations/{tenant}/{environment} 307": 3,
        "GET none 404": 2,
        "GET /static 200": 1,
        "GET /static 404": 1,
        "GET /healthz 200": 1,
        "other /healthz 405": 1,
    }


def test_a_request_that_fails_inside_is_counted(made: Made) -> None:
    """A handler that breaks answers 500, and that is counted, once."""
    console = made(**METRICS)
    console.app.state.readiness = None
    assert console.nobody().get("/readyz").status_code == 500
    assert samples(console)["keyturn_http_requests_total GET /readyz 500"] == 1
