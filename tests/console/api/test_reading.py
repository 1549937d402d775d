from __future__ import annotations

import json
from collections.abc import Callable
from uuid import uuid4

from tests.console.api.conftest import API, Caller, problem
from tests.console.conftest import Console
from tests.services.world import World

Callers = Callable[..., Caller]


def test_x(world: World, caller: Callers) -> None:
    world.to_approval()
    c = caller("vera", "viewer")
    for path in ("/me", "/integrations", "/gates", f"/integrations/{world.key}", f"/integrations/{world.key}/health", "/rotations/due", "/sign-in", "/openapi.json"):
        r = c.get(path)
        print(path, r.status_code, json.dumps(r.json(), indent=1)[:1500])
    g = c.get("/gates", params={"key": str(world.key)}).json()[0]
    print(json.dumps(c.get("/gates/" + g["id"]).json(), indent=1)[:3000])
    a = c.one()["attempt"]
    print(json.dumps(c.get("/attempts/" + a).json(), indent=1)[:3000])
    print(c.get("/attempts/" + a + "/evidence").text)
    print(caller("oscar", "operator").get("/attempts/" + a + "/evidence").text[:200])
    print(c.get(f"/integrations/{world.key}/plan").text[:2000])
    print(c.get(f"/integrations/{world.key}/plan?rotation=true").text[:2000])
    assert 0
