"""The live OpenAPI document: what this twin offers at this moment, with the write API of the day."""

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyturn.sandbox.twins.stackone import wire
from keyturn.sandbox.twins.stackone.options import StackOneOptions
from keyturn.sandbox.twins.stackone.profile_writes import bodies, write_path
from keyturn.sandbox.twins.stackone.state import StackOneState
from keyturn.sandbox.twins.store import Store

_REF = "#/components/schemas/{model}"
_PROFILE_ID = "/connector_profiles/{id}"


class Operation(NamedTuple):
    """One operation; `many` if it answers an array, `body` names the schema of the request."""

    method: str
    path: str
    summary: str
    answer: str | None = None
    many: bool = False
    status: int = 200
    body: str | None = None
    query: tuple[str, ...] = ()


_PAGES = ("page", "page_size")
_FILTERS = ("providers", "origin_owner_ids", "account_ids", "status")
OPERATIONS = (
    Operation(
        "get", "/connector_profiles", "List", "ConnectorProfilePage", query=(*_PAGES, "enabled", "connector_key")
    ),
    Operation("get", "/auth_configs", "List (deprecated)", "ConnectorProfilePage", query=_PAGES),
    Operation("get", f"{_PROFILE_ID}/versions", "List versions", "ConnectorVersion", many=True),
    Operation("get", f"{_PROFILE_ID}/pinned_version", "Get pinned version", "PinnedVersion"),
    Operation("put", f"{_PROFILE_ID}/pinned_version", "Pin a version", "PinnedVersion", body="PinVersion"),
    Operation("delete", f"{_PROFILE_ID}/pinned_version", "Unpin", status=204),
    Operation(
        "post", "/connect_sessions", "Create", "ConnectSessionTokenAuthLink", status=201, body="ConnectSessionCreate"
    ),
    Operation("get", "/connect_sessions/{id}", "Get", "ConnectSession"),
    Operation(
        "post", "/connect_sessions/authenticate", "Authenticate", "ConnectSession", body="ConnectSessionAuthenticate"
    ),
    Operation("get", "/accounts", "List", "LinkedAccount", many=True, query=(*_PAGES, *_FILTERS)),
    Operation("get", "/accounts/{id}", "Get", "LinkedAccount"),
    Operation("patch", "/accounts/{id}", "Update", "LinkedAccount", body="PatchAccount"),
    Operation("delete", "/accounts/{id}", "Delete", "LinkedAccount"),
    Operation(
        "get", "/v2/accounts", "List", "LinkedAccountV2", many=True, query=(*_PAGES, *_FILTERS, "connector_profile_id")
    ),
    Operation("get", "/actions", "List", query=("filter[connectors]", "include", "next")),
    Operation("post", "/actions/rpc", "Run", "ActionsRpcResponse", body="ActionsRpc"),
)


class Specification:
    """GET /oas/stackone.json: no key needed."""

    def __init__(self, store: Store[StackOneState]) -> None:
        self._store = store

    async def read(self, _request: Request) -> Response:
        """The document."""
        return JSONResponse(document(self._store.state.options))


def document(options: StackOneOptions) -> dict[str, Any]:
    """The OpenAPI document under these options."""
    creation, update = bodies(options)
    schemas = _schemas(*(each for each in vars(wire).values() if _is_model(each)))
    operations: Iterable[Operation] = OPERATIONS
    path = write_path(options)
    if path is not None:
        operations = (*OPERATIONS, *_writes(path, creation.__name__, update.__name__))
        schemas = schemas | _schemas(creation, update)
    return {
        "openapi": "3.1.0",
        "info": {"title": "StackOne (twin)", "version": "1.0.0"},
        "servers": [{"url": "https://api.stackone.com"}],
        "security": [{"basic": []}],
        "paths": _paths(operations),
        "components": {"schemas": schemas, "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}},
    }


def _writes(path: str, creation: str, update: str) -> tuple[Operation, Operation]:
    return (
        Operation("post", path, "Create", "ConnectorProfile", status=201, body=creation),
        Operation("patch", f"{path}/{{id}}", "Update", "ConnectorProfile", body=update),
    )


def _is_model(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel) and value is not BaseModel


@cache  # the models are always the same few, and making their schemas takes longer than all of an answer
def _schemas(*models: type[BaseModel]) -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(ref_template=_REF)
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    return schemas


def _paths(operations: Iterable[Operation]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    return paths


def _described(operation: Operation) -> dict[str, Any]:
    parameters = [_parameter(name, "query") for name in operation.query]
    if "{id}" in operation.path:
        parameters.append(_parameter("id", "path"))
    described: dict[str, Any] = {"summary": operation.summary, "parameters": parameters}
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _json(operation.body)}
    answer = _json(operation.answer, many=operation.many) if operation.answer else {}
    described["responses"] = {str(operation.status): {"description": operation.summary, "content": answer}}
    return described


def _parameter(name: str, where: str) -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": {"type": "string"}}


def _json(model: str, *, many: bool = False) -> dict[str, Any]:
    reference: dict[str, Any] = {"$ref": _REF.format(model=model)}
    return {"application/json": {"schema": {"type": "array", "items": reference} if many else reference}}
