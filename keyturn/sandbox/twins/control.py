"""The control surface of a twin, under `/_twin/`, in JSON. Its errors are 422 `{"errors": [...]}`.

| request | body | answer |
|---|---|---|
| GET /_twin/effects | | `{"calls": {"GET /v2/users": 3}, "faults_played": 0, <effect>: <count>, ...}` |
| GET, POST /_twin/options | `{name: value, ...}`, any subset | all options |
| GET, POST /_twin/faults | a Fault, see `faults.py` | faults to come |
| DELETE /_twin/faults | | the empty list |
| GET, POST /_twin/clock | `{"advance_seconds": 3600}` | `{"now", "offset_seconds"}` |
| POST /_twin/reset | | `{}`: state, counters, faults and clock as at the first start |

A fault is, for example, `{"match": "POST /connector_profiles", "kind": "status", "status": 429, "retry_after": 2}`.
"""

import json
from collections.abc import Callable
from typing import Any, Generic

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from keyturn.sandbox.twins.faults import Fault
from keyturn.sandbox.twins.store import StateT, Store


class ClockChange(BaseModel):
    """How far to move the clock, in seconds."""

    model_config = ConfigDict(extra="forbid")

    advance_seconds: float


class Control(Generic[StateT]):
    """Counters, switches, faults and clock of one twin; it is also the fault script."""

    def __init__(self, store: Store[StateT], on_reset: Callable[[], None]) -> None:
        self._store = store
        self._on_reset = on_reset

    def routes(self) -> list[Route]:
        """The routes of the table above."""
        return [
            Route("/_twin/effects", self.effects),
            Route("/_twin/options", self.options, methods=["GET", "POST"]),
            Route("/_twin/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/_twin/clock", self.clock, methods=["GET", "POST"]),
            Route("/_twin/reset", self.reset, methods=["POST"]),
        ]

    def take(self, method: str, path: str) -> Fault | None:
        """The first fault that concerns this request, one use of it spent."""
        fault = next((fault for fault in self._store.state.faults if fault.concerns(method, path)), None)
        if fault is None:
            return None
        with self._store.change() as state:
            fault.count -= 1
            state.faults = [left for left in state.faults if left.count > 0]
            state.count("faults_played")
        return fault

    def called(self, call: str) -> None:
        """Count a call. It is written with the next change of the state, or when the twin stops."""
        calls = self._store.state.calls
        calls[call] = calls.get(call, 0) + 1

    async def effects(self, _request: Request) -> JSONResponse:
        """What the twin has done so far."""
        state = self._store.state
        return JSONResponse({"calls": state.calls, "faults_played": 0, **state.effects})

    async def options(self, request: Request) -> JSONResponse:
        """Show the switches; POST turns some of them."""
        if request.method == "POST":
            try:
                changed = self._store.state.options.merged(await json_object(request))
            except ValidationError as error:
                return refusal(error)
            with self._store.change() as state:
                state.options = changed
        return JSONResponse(self._store.state.options.model_dump(mode="json"))

    async def faults(self, request: Request) -> JSONResponse:
        """Show the faults to come; POST adds one, DELETE forgets all."""
        if request.method == "POST":
            try:
                fault = Fault.model_validate(await json_object(request))
            except ValidationError as error:
                return refusal(error)
            with self._store.change() as state:
                state.faults.append(fault)
        elif request.method == "DELETE":
            with self._store.change() as state:
                state.faults.clear()
        return JSONResponse([fault.model_dump() for fault in self._store.state.faults])

    async def clock(self, request: Request) -> JSONResponse:
        """Show the twin's time; POST moves it."""
        if request.method == "POST":
            try:
                change = ClockChange.model_validate(await json_object(request))
            except ValidationError as error:
                return refusal(error)
            with self._store.change() as state:
                state.clock_offset_seconds += change.advance_seconds
        state = self._store.state
        return JSONResponse({"now": state.now().isoformat(), "offset_seconds": state.clock_offset_seconds})

    async def reset(self, _request: Request) -> JSONResponse:
        """Begin again as at the first start."""
        self._store.reset()
        self._on_reset()
        return JSONResponse({})


def refusal(error: ValidationError) -> JSONResponse:
    """What is wrong with a body, without repeating its values."""
    faults = [f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors()]
    return JSONResponse({"errors": faults}, 422)


async def json_object(request: Request) -> dict[str, Any]:
    """The body; something that every model here refuses if it is no JSON object."""
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError:
        return {"body": "not JSON"}  # refused by every model here, since they forbid unknown names
    return body if isinstance(body, dict) else {"body": "not an object"}
