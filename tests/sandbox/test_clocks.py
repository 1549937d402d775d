from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from keyturn.errors import ConfigurationError, UnavailableError
from keyturn.sandbox.clocks import advance, clock_file
from tests.twins import Served


class Prefect(BaseHTTPRequestHandler):
    """As much of Prefect as is asked; what a real one does with it is tested in test_stack.py and test_prefect.py."""

    def do_GET(self) -> None:
        """Be healthy, and know the watch."""
        self._answer({"id": "the-watch"})

    def do_POST(self) -> None:
        """Have no run under way, and make one."""
        self._answer(0 if self.path.endswith("/count") else {"id": "a-run"})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, body: object) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


@pytest.fixture
def state(tmp_path: Path, served_twins: Served) -> Iterator[Path]:
    """The folder of a sandbox with both twins."""
    served_twins.reset()
    with HTTPServer(("127.0.0.1", 0), Prefect) as prefect:
        Thread(target=prefect.serve_forever, daemon=True).start()
        ports = {name: httpx.URL(getattr(served_twins, name)).port for name in ("gong", "stackone")}
        (tmp_path / "ports.json").write_text(json.dumps(ports | {"prefect": prefect.server_port}))
        yield tmp_path
        prefect.shutdown()
    served_twins.reset()


def offsets(twins: Served) -> list[float]:
    """How far the twins are ahead, in hours."""
    answers = [httpx.get(f"{url}/_twin/clock", trust_env=False).json() for url in (twins.gong, twins.stackone)]
    return [answer["offset_seconds"] / 3600 for answer in answers]


def test_a_twin_that_is_ahead_is_not_moved_back(state: Path, served_twins: Served) -> None:
    """Going back would bring dead secrets to life; the others catch up with what was asked, no more."""
    httpx.post(f"{served_twins.gong}/_twin/clock", json={"advance_seconds": 48 * 3600}, trust_env=False)
    assert advance(state, timedelta(hours=24)) == timedelta(hours=24)
    assert offsets(served_twins) == [48, 24]
    assert advance(state, timedelta(hours=24)) == timedelta(hours=48)
    assert offsets(served_twins) == [48, 48]


def test_a_move_that_failed_half_way_can_be_repeated(state: Path, served_twins: Served) -> None:
    """The twin that was moved already is not moved twice."""
    known = json.loads((state / "ports.json").read_text())
    (state / "ports.json").write_text(json.dumps(known | {"stackone": 1}))
    with pytest.raises(UnavailableError):
        advance(state, timedelta(days=7))
    assert (offsets(served_twins), clock_file(state).exists()) == ([168, 0], False)
    (state / "ports.json").write_text(json.dumps(known))
    assert advance(state, timedelta(days=7)) == timedelta(days=7)
    assert offsets(served_twins) == [168, 168]


def test_the_file_is_for_its_owner_only(state: Path) -> None:
    """Like everything in the folder."""
    advance(state, timedelta(minutes=90))
    assert json.loads(clock_file(state).read_text()) == {"offset_seconds": 5400.0}
    assert clock_file(state).stat().st_mode & 0o777 == 0o600


def test_a_folder_without_a_sandbox_is_said(tmp_path: Path) -> None:
    """And nothing is written into it."""
    with pytest.raises(ConfigurationError, match="there is no sandbox in that folder"):
        advance(tmp_path, timedelta(days=1))
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_stopped_is_said_and_keeps_its_time(tmp_path: Path) -> None:
    """Nobody's clock is moved when the twins cannot be."""
    (tmp_path / "ports.json").write_text('{"gong": 1, "stackone": 1, "prefect": 1}')
    with pytest.raises(UnavailableError, match="keyturn sandbox"):
        advance(tmp_path, timedelta(days=1))
    assert not clock_file(tmp_path).exists()
