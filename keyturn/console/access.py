"""Who may call which route. One table, looked at before any handler runs; a route that is not in it is not served.

This is the outer fence. Whose question a gate is, four eyes, and what else depends on the integration is checked by the
services behind it, for commands and for the console alike (`keyturn.domain.gate.admit`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from keyturn.domain.gate import Person

VIEWER, REQUESTER, APPROVER, GONG_ADMIN, OPERATOR = "viewer", "requester", "approver", "gong_admin", "operator"
ROLES = (VIEWER, REQUESTER, APPROVER, GONG_ADMIN, OPERATOR)

NO_GROUPS = frozenset({"person", "worker", "console", "intake"})
"""Policies of Vault's called `keyturn-<name>` that make nobody a member of anything: everybody who signs in there has
`keyturn-person`, and the others are for services and for what is done on somebody's behalf."""


class Door(StrEnum):
    """How a caller is known."""

    OPEN = "open"  # needs nobody
    SESSION = "session"  # a signed-in browser: cookie, and for a change a token of the form
    BEARER = "bearer"  # a program: a Vault token or an ID token
    OWN = "own"  # the handler checks a secret of its own: a signature, a metrics token


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call a route.

    Attributes:
        groups: one of them is needed; none named: any group at all is enough.
        acting: a person who is nothing but a viewer may not.
        everyone: even who is in no group at all.
    """

    door: Door
    groups: frozenset[str] = frozenset()
    acting: bool = False
    everyone: bool = False

    def admits(self, person: Person) -> bool:
        """Whether this person may call it."""
        if self.groups:
            return bool(person.groups & self.groups)
        return self.everyone or bool(person.groups - NO_GROUPS - ({VIEWER} if self.acting else set()))


OPEN, OWN, ANY_GROUP = Rule(Door.OPEN), Rule(Door.OWN), Rule(Door.SESSION)
_SEE, _ACT = Rule(Door.SESSION), Rule(Door.SESSION, acting=True)
_START = Rule(Door.SESSION, frozenset({REQUESTER, OPERATOR}))
_RUN = Rule(Door.SESSION, frozenset({OPERATOR}))
_API_SEE, _API_ACT = Rule(Door.BEARER), Rule(Door.BEARER, acting=True)
_API_START = Rule(Door.BEARER, frozenset({REQUESTER, OPERATOR}))
_API_RUN = Rule(Door.BEARER, frozenset({OPERATOR}))

_ONE = "/integrations/{tenant}/{environment}"
_API = "/api/v1"

RULES: dict[tuple[str, str], Rule] = {
    ("GET", "/"): _SEE,
    ("GET", "/inbox"): _SEE,
    ("GET", _ONE): _SEE,
    ("GET", f"{_ONE}/ask/{{action}}"): _ACT,
    ("POST", f"{_ONE}/onboard"): _START,
    ("POST", f"{_ONE}/check"): _ACT,
    ("POST", f"{_ONE}/rotate"): _START,
    ("POST", f"{_ONE}/rollback"): _RUN,
    ("POST", f"{_ONE}/resume"): _RUN,
    ("POST", f"{_ONE}/abandon"): _START,
    ("POST", f"{_ONE}/lost"): _ACT,
    ("GET", "/gates/{gate_id}"): _SEE,
    ("POST", "/gates/{gate_id}/approve"): _ACT,
    ("POST", "/gates/{gate_id}/reject"): _ACT,
    ("POST", "/gates/{gate_id}/submit"): _ACT,
    ("POST", "/gates/{gate_id}/reveal"): _ACT,
    ("POST", "/gates/{gate_id}/link"): _ACT,
    ("POST", "/gates/{gate_id}/ticks"): _SEE,
    ("GET", "/attempts/{attempt_id}"): _SEE,
    ("GET", "/attempts/{attempt_id}/evidence"): _RUN,
    ("GET", "/live"): _SEE,
    ("GET", "/sign-in"): OPEN,
    ("GET", "/sign-in/start"): OPEN,
    ("GET", "/sign-in/callback"): OPEN,
    ("GET", "/sign-in/link"): OPEN,
    ("POST", "/sign-in/link"): OPEN,
    ("POST", "/sign-out"): Rule(Door.SESSION, everyone=True),
    ("GET", "/signed-out"): OPEN,
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/metrics"): OWN,
    ("POST", "/webhooks/stackone"): OWN,
    ("GET", f"{_API}/openapi.json"): OPEN,
    ("GET", f"{_API}/sign-in"): OPEN,
    ("GET", f"{_API}/me"): _API_SEE,
    ("GET", f"{_API}/integrations"): _API_SEE,
    ("GET", f"{_API}{_ONE}"): _API_SEE,
    ("GET", f"{_API}{_ONE}/plan"): _API_SEE,
    ("GET", f"{_API}{_ONE}/health"): _API_SEE,
    ("GET", f"{_API}/gates"): _API_SEE,
    ("GET", f"{_API}/gates/{{gate_id}}"): _API_SEE,
    ("GET", f"{_API}/attempts/{{attempt_id}}"): _API_SEE,
    ("GET", f"{_API}/attempts/{{attempt_id}}/evidence"): _API_RUN,
    ("GET", f"{_API}/manifests"): _API_SEE,
    ("GET", f"{_API}/rotations/due"): _API_SEE,
    ("POST", f"{_API}{_ONE}/onboard"): _API_START,
    ("POST", f"{_API}{_ONE}/check"): _API_ACT,
    ("POST", f"{_API}{_ONE}/verify"): _API_ACT,
    ("POST", f"{_API}{_ONE}/rotate"): _API_START,
    ("POST", f"{_API}{_ONE}/rollback"): _API_RUN,
    ("POST", f"{_API}{_ONE}/resume"): _API_RUN,
    ("POST", f"{_API}{_ONE}/abandon"): _API_START,
    ("POST", f"{_API}{_ONE}/lost"): _API_ACT,
    ("POST", f"{_API}{_ONE}/approve"): _API_ACT,
    ("POST", f"{_API}{_ONE}/reject"): _API_ACT,
    ("POST", f"{_API}{_ONE}/submit"): _API_ACT,
    ("POST", f"{_API}{_ONE}/reveal"): _API_ACT,
    ("POST", f"{_API}{_ONE}/link"): _API_ACT,
}
"""Method and path, as the router has it, to who may."""
