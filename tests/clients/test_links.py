from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from keyturn.clients.links import answering

STATUSES = {"/fine": 200, "/gone": 404, "/removed": 410, "/members": 403, "/broken": 500, "/only-get": 200}


class Site(BaseHTTPRequestHandler):
    """Pages of every kind."""

    release: threading.Event
    asked: list[str]

    def do_HEAD(self) -> None:
        """Answer as GET does, except where only GET is known."""
        if self.path == "/only-get":
            self.reply(405)
        else:
            self.do_GET()

    def do_GET(self) -> None:
        """Answer by the path."""
        if self.path == "/slow":
            self.release.wait(10)
        elif self.path in ("/moved", "/circle"):
            self.reply(302, "/fine" if self.path == "/moved" else "/circle")
        elif self.path != "/hang-up":
            self.reply(STATUSES[self.path])

    def reply(self, status: int, location: str = "") -> None:
        """Send a status and no body."""
        self.asked.append(f"{self.command} {self.path} {self.headers['User-Agent']}")
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def asked() -> list[str]:
    """What the site was asked."""
    return []


@pytest.fixture
def site(asked: list[str]) -> Iterator[str]:
    """A real web server."""
    release = threading.Event()
    handler = type("Handler", (Site,), {"asked": asked, "release": release})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", ["/fine", "/moved", "/only-get"])
def test_links_that_answer_give_no_findings(site: str, path: str) -> None:
    """Redirects are followed, and a server that refuses HEAD is asked with GET."""
    assert answering({"gong.help_url": site + path}) == []


@pytest.mark.parametrize(
    ("path", "severity", "message"),
    [
        ("/gone", "error", "answers 404"),
        ("/removed", "error", "answers 410"),
        ("/members", "warning", "answers 403"),
        ("/broken", "warning", "answers 500"),
        ("/circle", "warning", "redirects in circles"),
        ("/hang-up", "warning", "did not answer (RemoteProtocolError)"),
        ("/slow", "warning", "did not answer (ReadTimeout)"),
    ],
)
def test_links_that_lead_nowhere_are_reported(site: str, path: str, severity: str, message: str) -> None:
    """Only a page that is certainly missing is an error: others may refuse programs and open for people."""
    (finding,) = answering({"gong.help_url": site + path}, timeout_s=0.5)
    assert (finding.severity, finding.where, finding.rule) == (severity, "gong.help_url", "link-answers")
    assert message in finding.message


@pytest.mark.parametrize("link", ["http://127.0.0.1:1/", "https://[", "nonsense", "ftp://acme.example/"])
def test_links_that_cannot_even_be_asked_are_reported(link: str) -> None:
    """A closed port and a malformed link end in a finding, not in a traceback."""
    (finding,) = answering({"gong.terms_url": link}, timeout_s=0.5)
    assert "did not answer" in finding.message


def test_many_links_are_asked_and_reported_in_order(site: str, asked: list[str]) -> None:
    """The report reads like the form, and the site can see who asks."""
    links = {f"field{n}": f"{site}/gone" for n in range(9)}
    assert [finding.where for finding in answering(links)] == list(links)
    assert all(line.endswith("keyturn (link check)") for line in asked)


def test_no_links_ask_nothing() -> None:
    """An empty form is no fault of the links."""
    assert answering({}) == []
