"""The two ways to Prefect's API: plainly, and by Prefect's own client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from keyturn.clients.prefect_way import plain_way
from keyturn.sandbox import prefect as sandbox_prefect
from keyturn.sandbox.ports import free_port
from keyturn.sandbox.postgres import start_postgres
from keyturn.sandbox.processes import Child, Children, Command
from keyturn.sandbox.readiness import wait_for_page

LOGIN = "olga:a pass:word"
URL = "https://prefect.example/api"
_PROGRAM = """
import json, sys
from keyturn.clients import orchestrator
from keyturn.errors import KeyturnError
try:
    said = repr(eval(sys.argv[1]))
except KeyturnError as error:
    said = f"{type(error).__name__}: {error.problem}"
print(json.dumps([said, "prefect" in sys.modules]))
"""


@dataclass(frozen=True)
class Said:
    """What a call gave, and whether its process imported Prefect."""

    what: str
    imported: bool


@dataclass(frozen=True)
class Server:
    """A Prefect that wants a login and CSRF tokens, and a home in which no profile is."""

    url: str
    home: Path

    def asked(self, expression: str, **environ: str) -> Said:
        """Evaluate something in a process of its own, as a command does."""
        told = {"PATH": os.environ["PATH"], "HOME": str(self.home), "PREFECT_API_URL": self.url} | environ
        words = [sys.executable, "-c", _PROGRAM, expression]
        done = subprocess.run(words, env=told, cwd=self.home, capture_output=True, text=True, check=True)
        return Said(*json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests here."""
    state = tmp_path_factory.mktemp("guarded")
    home = tmp_path_factory.mktemp("home")
    with Children(state) as children:
        port = free_port()
        child = _start(children, start_postgres(children).prefect_url, port)
        wait_for_page(child, f"http://127.0.0.1:{port}/api/ready")
        yield Server(f"http://127.0.0.1:{port}/api", home)


def _start(children: Children, database: str, port: int) -> Child:
    url, home = f"http://127.0.0.1:{port}", children.state / "prefect"
    home.mkdir(exist_ok=True)
    guarded = {"PREFECT_SERVER_API_AUTH_STRING": LOGIN, "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"}
    variables = sandbox_prefect.prefect_environment(children.state, f"{url}/api")
    variables |= sandbox_prefect._server_settings(home, url, port, database) | guarded
    argv = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", "--port", str(port)]
    return children.start(Command("prefect-guarded", argv, variables, home))


def test_a_call_that_reads_goes_plainly_and_does_not_import_prefect(server: Server) -> None:
    """Signed with the login of Prefect's settings, it gets its answer without Prefect's second of imports."""
    said = server.asked("orchestrator.examine_server()[1]", PREFECT_API_AUTH_STRING=LOGIN)
    assert said == Said("False", imported=False)


def test_where_a_csrf_token_is_wanted_prefects_own_client_goes(server: Server) -> None:
    """The plain call is refused with 403, and the same call by Prefect's own client gets its answer."""
    run = str(uuid4())
    expression = f"orchestrator.PrefectRuns().states_of([__import__('uuid').UUID('{run}')]).popitem()[1].value"
    assert server.asked(expression, PREFECT_API_AUTH_STRING=LOGIN) == Said("'unknown'", imported=True)


def test_settings_that_are_not_understood_are_left_to_prefects_own_client(server: Server) -> None:
    """With custom headers set, the plain way is not even tried."""
    headers = json.dumps({"X-Who": "keyturn"})
    told = {"PREFECT_API_AUTH_STRING": LOGIN, "PREFECT_CLIENT_CUSTOM_HEADERS": headers}
    assert server.asked("orchestrator.examine_server()[1]", **told) == Said("False", imported=True)


def test_a_profile_is_left_to_prefects_own_client(server: Server) -> None:
    """A login that stands in a profile works, since Prefect's own client reads it."""
    profiles = server.home / "profiles" / "profiles.toml"
    profiles.parent.mkdir(exist_ok=True)
    profiles.write_text(f'active = "mine"\n[profiles.mine]\nPREFECT_API_AUTH_STRING = "{LOGIN}"\n')
    said = server.asked("orchestrator.examine_server()[1]", PREFECT_HOME=str(profiles.parent))
    assert said == Said("False", imported=True)


def test_a_wrong_login_is_said_plainly(server: Server) -> None:
    """401 is a definite no; nothing is gained by asking once more."""
    said = server.asked("orchestrator.examine_server()", PREFECT_API_AUTH_STRING="olga:wrong")
    assert said == Said("VendorRefusedError: Prefect answered HTTP 401", imported=False)


def test_that_nobody_is_there_is_said_plainly(server: Server) -> None:
    """A server that is down is told of at once."""
    said = server.asked("orchestrator.examine_server()", PREFECT_API_URL=f"http://127.0.0.1:{free_port()}/api")
    assert said == Said("UnavailableError: Prefect cannot be reached (ConnectError)", imported=False)


def test_without_an_address_that_is_said(server: Server) -> None:
    """Neither way knows where to go."""
    said = server.asked("orchestrator.examine_server()", PREFECT_API_URL="")
    assert said == Said("ConfigurationError: is not set", imported=True)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"PREFECT_API_URL": "https://api.prefect.cloud/api/accounts/1/workspaces/2"},
        {"PREFECT_API_URL": URL, "PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "true"},
        {"PREFECT_API_URL": URL, "prefect_api_key": "in lower case"},
        {"PREFECT_API_URL": URL, "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500"},
        {"PREFECT_API_URL": URL, "PREFECT_PROFILE": "mine"},
        {"PREFECT_API_URL": URL, "PREFECT_API_REQUEST_TIMEOUT": "soon"},
    ],
)
def test_what_is_unusual_does_not_go_plainly(environ: Mapping[str, str], tmp_path: Path) -> None:
    """No address, Prefect Cloud, and everything about the way that is not understood."""
    assert plain_way({"HOME": str(tmp_path)} | environ, tmp_path) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prefect.toml", "[api]"),
        ("pyproject.toml", "[tool.prefect.api]"),
        (".env", "PREFECT_API_KEY=x"),
        (".prefect/profiles.toml", ""),
    ],
)
def test_settings_in_files_do_not_go_plainly(name: str, text: str, tmp_path: Path) -> None:
    """Prefect reads them, and so only its own client knows what they come to."""
    environ = {"HOME": str(tmp_path), "PREFECT_API_URL": URL}
    assert plain_way(environ, tmp_path) is not None
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert plain_way(environ, tmp_path) is None


def test_files_without_a_word_of_prefect_change_nothing(tmp_path: Path) -> None:
    """A project's own files are nobody's reason for a slow command."""
    (tmp_path / "pyproject.toml").write_text("[project]\ndependencies = ['prefect']\n")
    (tmp_path / ".env").write_text("EDITOR=vi\n")
    assert plain_way({"HOME": str(tmp_path), "PREFECT_API_URL": URL}, tmp_path) is not None


def test_a_key_is_sent_and_never_shown(tmp_path: Path) -> None:
    """An API key goes into the header, and stays out of every message."""
    way = plain_way({"HOME": str(tmp_path), "PREFECT_API_URL": URL, "PREFECT_API_KEY": "pnu_key"}, tmp_path)
    assert way is not None
    assert way.headers["Authorization"] == "Bearer pnu_key"
    assert "pnu_key" not in repr(way)
