import json
import logging
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from keyturn.sandbox.twins.store import Store, TwinState


def test_a_stopped_sandbox_can_be_resumed(start: Any) -> None:
    """Everything survives a restart, on other ports too: linked accounts work, counters and clock go on."""
    with start(gong={"users_total": 3}) as world:
        integration, profile, account_id = world.connected()
        world.advance(hours=1)
        world.switch(world.api, account_list="wrapped")
        world.api.post("/_twin/faults", json={"match": "GET /never", "kind": "drop_before"})
        before = [world.effects(client) for client in (world.gong, world.api)]
    with start() as world:
        assert [world.effects(client) for client in (world.gong, world.api)] == before
        assert world.profiles() == [profile]
        assert world.api.get("/accounts").json()["data"][0]["id"] == account_id
        assert len(world.action(account_id).json()["data"]) == 3
        assert len(world.api.get("/_twin/faults").json()) == 1
        assert world.gong.get("/_twin/clock").json()["offset_seconds"] == 3600
        assert world.exchange(integration, "bogus").json()["error"] == "invalid_grant"


def test_the_file_is_private_and_never_half_written(tmp_path: Path) -> None:
    """Mode 0600; a change that fails leaves the file as it was; nothing is left beside it."""
    path = tmp_path / "state.json"
    store = Store(path, TwinState)
    with store.change() as state:
        state.count("thing")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    with pytest.raises(RuntimeError), store.change():
        raise RuntimeError
    assert path.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]
    assert Store(path, TwinState).state.effects == {"thing": 1}


def test_reset_forgets_everything(world: Any) -> None:
    """State, counters, faults and clock are as at the first start; options as at launch."""
    world.connected()
    world.advance(hours=1)
    for client in (world.gong, world.api):
        client.post("/_twin/reset").raise_for_status()
    assert world.profiles() == []
    assert "integrations_created" not in world.effects(world.gong)
    assert world.gong.get("/_twin/clock").json()["offset_seconds"] == 0
    assert world.gong.get("/_twin/options").json()["calls_per_second"] == 1000


def test_no_secret_and_no_query_string_is_logged(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A whole journey with a refresh leaves lines of method, path, status and time, and nothing else."""
    caplog.set_level(logging.INFO, "keyturn.sandbox.twins")
    integration, _, account_id = world.connected()
    world.advance(hours=24)
    assert world.action(account_id).status_code == 200
    session = world.session()
    world.browser.get(session["auth_link_url"])
    lines = [record.message for record in caplog.records if record.name.startswith("keyturn")]
    assert any(line.startswith("stackone GET /connect/oauth2/gong/callback 200") for line in lines)
    assert all(re.fullmatch(r"(gong|stackone) [A-Z]+ /[\w/.-]* \d+ \d+ms", line) for line in lines)
    for secret in (integration.secret, session["token"], "v1.local.test-key"):
        assert not any(secret in line for line in lines)


def test_the_index_says_what_this_is(world: Any) -> None:
    """Both twins say so in words, and link only to themselves."""
    for url in (world.gong_url, world.stackone_url):
        page = httpx.get(url)
        assert "This is a twin of" in page.text
        links = re.findall(r'href="([^"]+)"', page.text)
        assert all(link.startswith("/") for link in links)
        for link in links:
            assert httpx.get(url + link, follow_redirects=True).status_code == 200


def launch(vendor: str, port: int, state: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a twin as the sandbox does."""
    command = [sys.executable, "-m", f"keyturn.sandbox.twins.{vendor}", "--port", str(port), "--state", str(state)]
    root = str(Path(__file__).parents[3])
    return subprocess.Popen(
        [*command, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": root, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def answered(url: str) -> httpx.Response:
    """The first answer of a starting server."""
    for _ in range(400):
        try:
            return httpx.get(url)
        except httpx.ConnectError:
            time.sleep(0.025)
    raise TimeoutError(url)


def test_both_twins_start_from_the_command_line(tmp_path: Path) -> None:
    """Quiet by default, on 127.0.0.1, with secrets from the environment, and they stop at a signal."""
    gong_port, stackone_port = free_port(), free_port()
    deliver = f"https://api.stackone.com=http://127.0.0.1:{stackone_port}"
    gong = launch(
        "gong", gong_port, tmp_path / "g.json", "--deliver", deliver, "--option", "users_total=7",
        TWIN_CLIENT_SECRET="canary",
    )  # fmt: skip
    stackone = launch(
        "stackone", stackone_port, tmp_path / "s.json", "--gong", f"http://127.0.0.1:{gong_port}", TWIN_API_KEY="key"
    )
    try:
        options = answered(f"http://127.0.0.1:{gong_port}/_twin/options").json()
        assert options["users_total"] == 7
        answered(f"http://127.0.0.1:{stackone_port}/")
        assert httpx.get(f"http://127.0.0.1:{stackone_port}/accounts", auth=("key", "")).json() == []
    finally:
        outputs = []
        for process in (gong, stackone):
            process.send_signal(signal.SIGINT)
            outputs.append(process.communicate(timeout=10))
    assert all("Traceback" not in err and "canary" not in out + err for out, err in outputs)
    assert json.loads((tmp_path / "g.json").read_text())["options"]["users_total"] == 7


def test_verbose_logs_every_request(tmp_path: Path) -> None:
    """Path and status, no query string."""
    port = free_port()
    process = launch("gong", port, tmp_path / "g.json", "--verbose")
    answered(f"http://127.0.0.1:{port}/oauth2/authorize?code=never-logged")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert "gong GET /oauth2/authorize 303" in err
    assert "never-logged" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--option", "nonsense=1"], "nonsense"), (["--option", "alone"], "NAME=VALUE"), ([], "TWIN_API_KEY")],
)
def test_a_wrong_command_line_says_what_is_wrong(tmp_path: Path, arguments: list[str], words: str) -> None:
    """An unknown option, one without value, and a missing key end with status 2 and a sentence."""
    environment = {"TWIN_API_KEY": "key"} if arguments else {}
    process = launch("stackone", 1, tmp_path / "s.json", "--gong", "http://127.0.0.1:1", *arguments, **environment)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 2
    assert words in err
    assert "Traceback" not in err
