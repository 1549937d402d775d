"""Live updates: server-sent events that say which integrations changed.

They carry no state: whoever hears of a change asks for the page again, and whoever was away asks once more on return.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Collection

from fastapi import APIRouter, Request
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from keyturn.console.streams import News, Stream, Streams
from keyturn.console.visitor import Visitor, ports_of, visitor_of
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import KeyturnError

router = APIRouter()
_log = logging.getLogger(__name__)

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy that collects answers would hold all back
_MOST_NAMED = 200
_EVERYTHING = ["*"]


@router.get("/live")
async def live(request: Request) -> StreamingResponse:
    """Changes as they happen, until the session ends.

    Raises:
        RateLimitedError: this person follows changes in too many places already.
    """
    streams, visitor = streams_of(request.app), visitor_of(request)
    streams.require_room(visitor.person.id)
    return StreamingResponse(_events(request, streams, visitor), media_type="text/event-stream", headers=_HEADERS)


def streams_of(app: Starlette) -> Streams:
    """The open streams of this process, as its application has them."""
    if getattr(app.state, "streams", None) is None:
        app.state.streams = Streams(app.state.ports.fleet)
    streams: Streams = app.state.streams
    return streams


async def _events(request: Request, streams: Streams, visitor: Visitor) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    stream, looked_at = streams.open(visitor.person.id, loop), loop.time()
    try:
        while not stream.is_ended:
            yield _text(stream)
            await stream.wait(streams.pace.heartbeat_s)
            if loop.time() - looked_at >= streams.pace.session_s:
                looked_at = loop.time()
                if not await run_in_threadpool(_is_signed_in, request, visitor):
                    return
            if await request.is_disconnected():
                return
    finally:
        streams.close(stream)


def _text(stream: Stream) -> str:
    """What there is to say; a comment when there is nothing, so that a broken connection is noticed."""
    return "".join(_event(news, keys) for news, keys in stream.take().items()) or ": still here\n\n"


def _event(news: News, keys: Collection[IntegrationKey]) -> str:
    named = sorted(map(str, keys)) if len(keys) <= _MOST_NAMED else _EVERYTHING
    return f"event: {news}\ndata: {json.dumps(named)}\n\n"


def _is_signed_in(request: Request, visitor: Visitor) -> bool:
    """Whether the session still stands. Looking is no use of it: a page that is left open must not keep it alive."""
    ports = ports_of(request)
    try:
        return ports.visits.visit(visitor.token, ports.settings.console.idle_s, counts=False) is not None
    except KeyturnError as error:  # who cannot be asked about is told nothing more; the page comes back by itself
        _log.warning("a stream ends, since its session cannot be looked at: %s", error)
        return False
