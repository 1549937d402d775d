"""`python -m keyturn.sandbox.twins.stackone`; TWIN_API_KEY and TWIN_WEBHOOK_SECRET come from the environment."""

import os
from collections.abc import Sequence

from keyturn.sandbox.twins.launch import parser, run
from keyturn.sandbox.twins.stackone.app import StackOneConfig, create_app


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the twin until interrupted."""
    command = parser("stackone")
    command.add_argument("--gong", required=True, metavar="URL", help="where the Gong twin listens")
    command.add_argument("--webhook-url", metavar="URL", help="where account events are sent")
    command.add_argument("--egress-ip", default="127.0.0.1", help="local address of the calls to Gong")
    given = command.parse_args(arguments)
    if not os.environ.get("TWIN_API_KEY"):
        command.error("set TWIN_API_KEY to the API key of the project")
    config = StackOneConfig(
        state=given.state,
        api_key=os.environ["TWIN_API_KEY"],
        gong=given.gong,
        webhook_url=given.webhook_url,
        webhook_secret=os.environ.get("TWIN_WEBHOOK_SECRET", ""),
        egress_ip=given.egress_ip,
        options=dict(given.option),
    )
    run(command, lambda: create_app(config), given.port, verbose=given.verbose)


if __name__ == "__main__":
    main()
