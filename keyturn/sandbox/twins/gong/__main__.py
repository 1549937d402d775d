"""`python -m keyturn.sandbox.twins.gong`; TWIN_CLIENT_SECRET is the secret of the next integration to be created."""

import os
from collections.abc import Sequence

from keyturn.sandbox.twins.gong.app import GongConfig, create_app
from keyturn.sandbox.twins.launch import pair, parser, run


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the twin until interrupted."""
    command = parser("gong")
    help_ = "send browsers for the first origin to the second one, on this machine"
    command.add_argument("--deliver", type=pair, action="append", default=[], metavar="ORIGIN=ORIGIN", help=help_)
    given = command.parse_args(arguments)
    config = GongConfig(
        state=given.state,
        deliver=dict(given.deliver),
        options=dict(given.option),
        client_secret=os.environ.get("TWIN_CLIENT_SECRET"),
    )
    run(command, lambda: create_app(config), given.port, verbose=given.verbose)


if __name__ == "__main__":
    main()
