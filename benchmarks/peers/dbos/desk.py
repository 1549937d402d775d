"""Where people begin journeys and decide, in a process of its own, as a web application would: a few POSTs.

`/begin/<tenant>/<environment>` and `/send/<gate>/<tenant>/<environment>`.
"""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import calls
from dbos import DBOSClient, EnqueueOptions

CLIENT = DBOSClient(system_database_url=calls.setting("DATABASE"))


class Desk(BaseHTTPRequestHandler):
    """Answers 204 once the database has it."""

    def do_POST(self) -> None:
        """Begin, or decide."""
        verb, _, rest = self.path.strip("/").partition("/")
        if verb == "begin":
            options = EnqueueOptions(queue_name="journeys", workflow_name="journey", workflow_id=rest)
            CLIENT.enqueue(options, rest)
        else:
            gate, _, key = rest.partition("/")
            CLIENT.send(key, "approved", topic=gate)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(calls.setting("DESK_PORT"))), Desk).serve_forever()
