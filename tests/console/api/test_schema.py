"""What the document of the API promises, tried out by schemathesis as people of every kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from keyturn.console.access import ROLES, RULES, Door
from keyturn.console.api.answering import API
from keyturn.console.api.document import description
from tests.console.api.conftest import Caller
from tests.console.conftest import ORIGIN
from tests.services.world import World

Callers = Callable[..., Caller]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
FEW = settings(
    max_examples=6,
    derandomize=True,  # the same every time: a failure here is a fault, and no bad luck
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
ENDERS = ("approve", "reject", "abandon")  # they change the scene, so everything else comes before
OPEN = ("/api/v1/openapi.json", "/api/v1/sign-in")


def routes() -> list[tuple[str, str]]:
    """Method and path of every route in the document, those that end something last."""
    paths = description()["paths"]
    found = [(method.upper(), path) for path, operations in paths.items() for method in operations]
    return sorted(found, key=lambda route: (route[1].rpartition("/")[2] in ENDERS, route))


class Trial:
    """Sends what schemathesis makes up about an integration that is there, or about nothing at all."""

    def __init__(self, world: World, app: Any, headers: Mapping[str, str]) -> None:
        gate = world.to_intake()
        names = {"tenant": world.key.tenant, "environment": world.key.environment}
        self._there = names | {"gate_id": str(gate.id), "attempt_id": str(gate.attempt_id)}
        self._headers = dict(headers)
        self._schema = schemathesis.openapi.from_dict(description())
        self._schema.app = app

    def fitting(self, method: str, path: str) -> Counter[int]:
        """Requests that fit the document; gives how often which status came."""
        statuses: Counter[int] = Counter()

        @FEW
        @given(case=self._cases(method, path, GenerationMode.POSITIVE), known=st.sampled_from([True, True, False]))
        def each(case: Any, *, known: bool) -> None:
            if known:
                case.path_parameters = {name: self._there[name] for name in case.path_parameters or {}}
            statuses[self._checked(case, CHECKS)] += 1

        each()
        return statuses

    def unfit(self, method: str, path: str) -> Counter[int]:
        """Requests that do not fit it; gives the same."""
        statuses: Counter[int] = Counter()

        @FEW
        @given(case=self._cases(method, path, GenerationMode.NEGATIVE))
        def each(case: Any) -> None:
            statuses[self._checked(case, [*CHECKS, negative_data_rejection])] += 1

        each()
        return statuses

    def _cases(self, method: str, path: str, mode: GenerationMode) -> Any:
        return self._schema[path][method].as_strategy(generation_mode=mode)

    def _checked(self, case: Any, checks: list[Any]) -> int:
        answer = case.call(base_url=ORIGIN, headers=dict(self._headers))
        case.validate_response(answer, checks=checks)
        return int(answer.status_code)


@pytest.mark.parametrize("who", ["nobody", "viewer", "everybody"])
def test_every_answer_is_one_that_was_announced(filed: World, calling: Callable[[World], Callers], who: str) -> None:
    """Whatever is sent, and by whom: no failure inside, no status, type or shape that the document does not have."""
    groups = {"nobody": (), "viewer": ("viewer",), "everybody": ROLES}[who]
    client = calling(filed)(who, *(groups or ROLES)).client
    trial = Trial(filed, client.app, {"authorization": client.headers["authorization"]} if groups else {})
    for method, path in routes():
        fitting = trial.fitting(method, path)
        assert fitting.total() > 0
        if path in OPEN:  # nothing can be said there, so nothing wrong either
            assert set(fitting) == {HTTPStatus.OK}
            continue
        trial.unfit(method, path)
        if not groups:
            assert set(fitting) <= {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS}  # made-up tokens are counted
        elif method == "GET" and who == "everybody":
            assert fitting[HTTPStatus.OK] > 0, f"{path} was never answered properly: {fitting}"


def test_the_document_has_every_route_of_the_api() -> None:
    """And no other; who needs a token is told so, and every failure that the guard can answer with."""
    document = description()
    api = {(method, path): rule for (method, path), rule in RULES.items() if path.startswith(API)}
    assert {*routes()} == api.keys()
    for (method, path), rule in api.items():
        operation = document["paths"][path][method.lower()]
        assert operation["description"], path
        signed_in = rule.door is Door.BEARER
        assert bool(operation.get("security")) is signed_in
        if signed_in:
            assert {"401", "403", "409", "422", "429", "502", "503", "504"} <= operation["responses"].keys()
        if method == "GET":
            assert "304" in operation["responses"]


def test_the_document_is_one_of_openapi_3_1(caller: Callers) -> None:
    """Every reference in it leads somewhere, and secrets are marked as such."""
    document = caller("vera", "viewer").read("/openapi.json")
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    assert {name.rpartition("/")[2] for name in references(document)} <= schemas.keys()
    for shape, name in (("Pair", "client_secret"), ("Wrapped", "wrapping_token")):
        assert schemas[shape]["properties"][name]["writeOnly"] is True


def references(part: Any) -> set[str]:
    """Every `$ref` below a part of a document."""
    below = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    own = {part["$ref"]} if isinstance(part, dict) and isinstance(part.get("$ref"), str) else set()
    return own.union(*(references(each) for each in below))
