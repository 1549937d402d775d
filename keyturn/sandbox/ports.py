"""TCP ports on 127.0.0.1, and which of them a sandbox keeps."""

from __future__ import annotations

import json
import secrets
import socket
from pathlib import Path

from keyturn.sandbox.files import write_private

_RANGE = range(20_000, 30_000)


class Ports:
    """The TCP ports of a sandbox: the same as before where they are still free, so that links go on working."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}

    def of(self, name: str) -> int:
        """The port kept for that name, or a free one that is kept from now on."""
        port = self._known.get(name, 0)
        others = {known for other, known in self._known.items() if other != name}
        while not port or port in others or not is_free(port):
            port = free_port()
        self._known[name] = port
        write_private(self._file, json.dumps(self._known))
        return port


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody uses now, outside the range from which outgoing connections take theirs."""
    while not is_free(port := _RANGE.start + secrets.randbelow(len(_RANGE))):
        pass
    return port


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1 at that port."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
