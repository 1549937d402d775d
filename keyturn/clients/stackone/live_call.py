"""What is kept of a live call through StackOne. The people in the answer are counted and dropped here."""

from __future__ import annotations

import re
from typing import Final

from keyturn.clients.answer import Answer
from keyturn.domain.profile import LiveCall

_REQUEST_ID: Final = re.compile(r"[\w.:-]{1,100}", re.ASCII)
_ERROR_CODE: Final = re.compile(r"[A-Z][A-Za-z]{1,80}", re.ASCII)
_LISTS: Final = ("users", "data", "results", "records")


def live_call_of(action: str, answer: Answer) -> LiveCall:
    """Status, request id and count. `ok` needs a 2xx with a JSON object or list: a proxy's page is no proof."""
    payload = answer.json()
    request_id = _request_id(answer, payload)
    if not answer.fine:
        return LiveCall(action, False, answer.status, request_id, None, _problem(answer.status, payload))
    if not isinstance(payload, dict | list):
        problem = "the answer is no JSON object, so nothing is proven"
        return LiveCall(action, False, answer.status, request_id, None, problem)
    return LiveCall(action, True, answer.status, request_id, _count(payload))


def _count(payload: object) -> int | None:
    """Rows of the list in `{data}`, at most one object further in, as in Gong's own `{requestId, records, users}`."""
    data = payload.get("data") if isinstance(payload, dict) and "data" in payload else payload
    if isinstance(data, list):
        return len(data)
    lists = [data[name] for name in _LISTS if isinstance(data.get(name), list)] if isinstance(data, dict) else []
    return len(lists[0]) if lists else None


def _request_id(answer: Answer, payload: object) -> str:
    data = payload.get("data") if isinstance(payload, dict) else None
    inner = data.get("requestId") if isinstance(data, dict) else None
    outer = payload.get("requestId") if isinstance(payload, dict) else None
    for value in (answer.headers.get("x-request-id"), inner, outer):
        if isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return ""


def _problem(status: int, payload: object) -> str:
    """A clause in our own words and StackOne's error code: the message may quote the provider, and so people."""
    code = payload.get("errorCode") if isinstance(payload, dict) else None
    named = f" ({code})" if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else ""
    return _CLAUSES.get(status, "StackOne or Gong refused the call") + named


_CLAUSES: Final = {
    400: "StackOne or Gong did not accept the call",
    401: "Gong does not accept the account's sign-in: link the account again",
    403: "a scope is missing: compare the scopes of the integration in Gong, and link the account again",
    404: "the account or the action does not exist in this StackOne project",
    408: "Gong did not answer StackOne in time",
    412: "the account's Connector Profile is disabled in StackOne",
}
