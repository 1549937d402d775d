"""StackOne's error envelope: `{statusCode, message, timestamp}`, and what some errors add to it."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

ModelT = TypeVar("ModelT", bound=BaseModel)


class ApiError(Exception):
    """An error that the API answers in StackOne's envelope; `extra` fields are added to it."""

    def __init__(self, status: int, sentence: str, retry_after: int | None = None, **extra: object) -> None:
        super().__init__(sentence)
        self.status = status
        self.body = envelope(status, sentence) | extra
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}


def envelope(status: int, sentence: str) -> dict[str, Any]:
    """The three fields of every error."""
    return {"statusCode": status, "message": sentence, "timestamp": datetime.now(UTC).isoformat()}


async def api_error(_request: Request, error: Exception) -> Response:
    """Starlette's handler for ApiError."""
    if not isinstance(error, ApiError):
        raise error
    return JSONResponse(error.body, error.status, error.headers)


async def http_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for unknown paths and methods: both are 404 "Cannot POST /path"."""
    if not isinstance(error, HTTPException):
        raise error
    unknown = error.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
    status = HTTPStatus.NOT_FOUND if unknown else error.status_code
    sentence = f"Cannot {request.method} {request.url.path}" if unknown else str(error.detail)
    return JSONResponse(envelope(status, sentence), status)


async def body_of(request: Request, model: type[ModelT]) -> ModelT:
    """A request's JSON body as a model; 400 with the names, but not the values, of what is wrong."""
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors()]
        raise ApiError(400, "; ".join(faults)) from None
