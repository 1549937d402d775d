"""What the document of the API promises, tried out by schemathesis as people of every kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from keyturn.console.access import ROLES
from keyturn.console.api.document import description
from tests.console.api.conftest import Caller
from tests.console.conftest import ORIGIN, Console
from tests.services.world import World

CHECKS = [
    negative_data_rejection,
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
EXAMPLES = settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
LABELS = sorted(
    f"{method.upper()} {path}" for path, operations in description()["paths"].items() for method in operations
)


@pytest.fixture
def try_out(world: World, console: Console, caller: Callable[..., Caller]) -> Callable[..., int]:
    """Send what schemathesis makes up, half of it about an integration that is there; gives how much was sent."""
    gate = world.to_intake()
    there = {
        "tenant": world.key.tenant,
        "environment": world.key.environment,
        "gate_id": str(gate.id),
        "attempt_id": str(gate.attempt_id),
    }
    schema = schemathesis.openapi.from_dict(description())
    schema.app = console.app

    def run(label: str, headers: Mapping[str, str], mode: schemathesis.GenerationMode) -> int:
        method, _, path = label.partition(" ")
        sent = 0
        codes = {}

        @EXAMPLES
        @given(case=schema[path][method].as_strategy(generation_mode=mode), known=st.booleans())
        def each(case: Any, known: bool) -> None:
            nonlocal sent
            if known and mode is schemathesis.GenerationMode.POSITIVE:
                case.path_parameters = {name: there[name] for name in case.path_parameters or {}}
            answer = case.call(base_url=ORIGIN, headers=dict(headers))
            codes[answer.status_code] = codes.get(answer.status_code, 0) + 1
            case.validate_response(answer, checks=CHECKS)
            sent += 1

        each()
        return codes

    return run


@pytest.mark.parametrize("who", ["nobody", "viewer", "everybody"])
def test_x(who, try_out, caller, console):
    import time
    headers = {}
    if who == "viewer": headers = {"authorization": caller("vera", "viewer").client.headers["authorization"]}
    if who == "everybody": headers = {"authorization": caller("all", *ROLES).client.headers["authorization"]}
    for label in LABELS:
        for mode in MODES:
            t=time.time()
            try:
                n = try_out(label, headers, mode)
                print(label, mode, n, round(time.time()-t,2))
            except BaseException as e:
                print(label, mode, "FAILED", str(e)[:1500], type(e))
    assert 0
