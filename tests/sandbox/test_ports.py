"""The ports that a sandbox keeps."""

from __future__ import annotations

import socket
from pathlib import Path

from keyturn.sandbox.ports import Ports, free_port, is_free


def test_a_port_is_kept(tmp_path: Path) -> None:
    """A resumed sandbox has the links it had."""
    before = {name: Ports(tmp_path / "ports.json").of(name) for name in ("a", "b")}
    after = {name: Ports(tmp_path / "ports.json").of(name) for name in ("a", "b")}
    assert before == after
    assert before["a"] != before["b"]


def test_a_port_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    """When somebody else listens on the kept port, another one is taken and kept."""
    ports = Ports(tmp_path / "ports.json")
    before = ports.of("a")
    with socket.create_server(("127.0.0.1", before)):
        assert not is_free(before)
        after = ports.of("a")
    assert after != before
    assert Ports(tmp_path / "ports.json").of("a") == after


def test_a_free_port_can_be_listened_on() -> None:
    """What is called free is."""
    with socket.create_server(("127.0.0.1", free_port())):
        pass
