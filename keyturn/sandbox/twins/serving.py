"""How a twin is served: uvicorn on 127.0.0.1, and nowhere else."""

import asyncio

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol


class TransportProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which also hands the connection to the application so that a fault can hang up."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the transport where the application finds it: `scope["state"]["transport"]`."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def server(app: Starlette, port: int) -> uvicorn.Server:
    """A uvicorn server for one twin, not yet started. Port 0 takes a free one."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            http=TransportProtocol,
            ws="none",
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
