"""Who may call what: every route, every role, one's own request and another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from uuid import UUID

import pytest

from keyturn.console.access import ROLES, RULES, Door
from keyturn.console.app import _require_rules, routes_of
from keyturn.domain.gate import Gate, Person
from keyturn.errors import ConfigurationError
from tests.console.conftest import Browser, Console
from tests.services.world import World

SEES = frozenset(ROLES)
ACTS = SEES - {"viewer"}
STARTS = frozenset({"requester", "operator"})
RUNS = frozenset({"operator"})
APPROVES = frozenset({"approver"})
IN_GONG = frozenset({"gong_admin"})
IN_STACKONE = frozenset({"gong_admin", "operator"})
EVERYBODY = None

_ONE = "/integrations/{tenant}/{environment}"
_API = "/api/v1"
SCENES = ("approve", "gong_admin", "stackone_form", "consent")

# What must come out in the end, whoever refuses: the guard, or a service behind it. Written down by hand, and not taken
# from the code's own table: what is asked here is whether that table, and the services, say what was meant.
MATRIX: dict[tuple[str, str], frozenset[str] | None] = {
    ("GET", "/"): SEES,
    ("GET", "/inbox"): SEES,
    ("GET", _ONE): SEES,
    ("GET", f"{_ONE}/ask/{{action}}"): STARTS,  # asked about abandoning here; each action has the groups of its POST
    ("POST", f"{_ONE}/onboard"): STARTS,
    ("POST", f"{_ONE}/check"): ACTS,
    ("POST", f"{_ONE}/rotate"): STARTS,
    ("POST", f"{_ONE}/rollback"): RUNS,
    ("POST", f"{_ONE}/resume"): RUNS,
    ("POST", f"{_ONE}/abandon"): RUNS,  # and whoever started it: a test of its own
    ("POST", f"{_ONE}/lost"): ACTS,
    ("GET", "/gates/{gate_id}"): SEES,
    ("POST", "/gates/{gate_id}/approve"): APPROVES,
    ("POST", "/gates/{gate_id}/reject"): APPROVES,
    ("POST", "/gates/{gate_id}/submit"): IN_GONG,
    ("POST", "/gates/{gate_id}/reveal"): IN_STACKONE,
    ("POST", "/gates/{gate_id}/link"): IN_GONG,
    ("POST", "/gates/{gate_id}/ticks"): SEES,
    ("GET", "/attempts/{attempt_id}"): SEES,
    ("GET", "/attempts/{attempt_id}/evidence"): RUNS,
    ("GET", "/live"): SEES,
    ("GET", "/sign-in"): EVERYBODY,
    ("GET", "/sign-in/start"): EVERYBODY,
    ("GET", "/sign-in/callback"): EVERYBODY,
    ("GET", "/sign-in/link"): EVERYBODY,
    ("POST", "/sign-in/link"): EVERYBODY,
    ("POST", "/sign-out"): SEES | {"nobody-special"},
    ("GET", "/signed-out"): EVERYBODY,
    ("GET", "/healthz"): EVERYBODY,
    ("GET", "/readyz"): EVERYBODY,
    ("GET", "/metrics"): EVERYBODY,
    ("POST", "/webhooks/stackone"): EVERYBODY,
    ("GET", f"{_API}/openapi.json"): EVERYBODY,
    ("GET", f"{_API}/sign-in"): EVERYBODY,
    ("GET", f"{_API}/me"): SEES,
    ("GET", f"{_API}/integrations"): SEES,
    ("GET", f"{_API}{_ONE}"): SEES,
    ("GET", f"{_API}{_ONE}/plan"): SEES,
    ("GET", f"{_API}{_ONE}/health"): SEES,
    ("GET", f"{_API}/gates"): SEES,
    ("GET", f"{_API}/gates/{{gate_id}}"): SEES,
    ("GET", f"{_API}/attempts/{{attempt_id}}"): SEES,
    ("GET", f"{_API}/attempts/{{attempt_id}}/evidence"): RUNS,
    ("GET", f"{_API}/manifests"): SEES,
    ("GET", f"{_API}/rotations/due"): SEES,
    ("POST", f"{_API}{_ONE}/onboard"): STARTS,
    ("POST", f"{_API}{_ONE}/check"): ACTS,
    ("POST", f"{_API}{_ONE}/verify"): ACTS,
    ("POST", f"{_API}{_ONE}/rotate"): STARTS,
    ("POST", f"{_API}{_ONE}/rollback"): RUNS,
    ("POST", f"{_API}{_ONE}/resume"): RUNS,
    ("POST", f"{_API}{_ONE}/abandon"): RUNS,
    ("POST", f"{_API}{_ONE}/lost"): ACTS,
    ("POST", f"{_API}{_ONE}/approve"): APPROVES,
    ("POST", f"{_API}{_ONE}/reject"): APPROVES,
    ("POST", f"{_API}{_ONE}/submit"): IN_GONG,
    ("POST", f"{_API}{_ONE}/reveal"): IN_STACKONE,
    ("POST", f"{_API}{_ONE}/link"): IN_GONG,
}
# These answer a question, so they are asked while it is open. All others are asked at the first gate.
SCENE_OF = {"submit": "gong_admin", "reveal": "stackone_form", "link": "consent"}
LAST = ("approve", "reject", "submit", "abandon")  # these change the scene, so everything else comes before
REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
STREAM = ("GET", "/live")  # never ends, so nobody who may is let in here; `test_live.py` does that
BODIES: dict[str, dict[str, object]] = {
    "approve": {"note": "looked at it"},
    "reject": {"reason": "not like this"},
    "abandon": {"reason": "enough"},
    "lost": {"reason": "gone"},
    "rollback": {"reason": "back"},
    "resume": {"reason": "on"},
    "submit": {"client_id": "id-of-nothing", "client_secret": "no-secret-at-all"},
    "ticks": {"step": "1", "done": "yes"},
}


class Named:
    """Bearer tokens that are people's names, in place of a Vault: whose token it is has tests of its own."""

    def __init__(self, people: dict[str, Person], console: Console) -> None:
        self.people, self._console = people, console

    def known(self, token: str) -> Person:
        """Who sends it."""
        return self.people[token]

    def vault(self, _token: str, person: Person) -> object:
        """Vault for that person."""
        return self._console.ports.on_behalf(person)


@dataclass
class Stage:
    """A question that is open, and everybody's browser."""

    console: Console
    world: World
    gate: Gate
    answered: set[UUID] = field(default_factory=set)

    def as_(self, person: Person, method: str, path: str) -> int:
        """Call a route as somebody, by cookie or by token, whichever it takes."""
        if RULES[method, path].door is Door.BEARER:
            return self.call(method, path, None, bearer=person.name)
        return self.call(method, path, self.console.of(person))

    def people(self) -> dict[str, Person]:
        """One of each role, and one with no group."""
        groups = {role: frozenset({role}) for role in ROLES} | {"nobody-special": frozenset()}
        return {name: Person(f"oidc:test#{name}", name, group, "test") for name, group in groups.items()}

    def call(self, method: str, path: str, browser: Browser | None, bearer: str = "") -> int:
        """Call a route about this question; gives the status, a redirect to the sign-in counting as 401."""
        names = {"tenant": self.world.key.tenant, "environment": self.world.key.environment, "action": "abandon"}
        url = path.format(gate_id=self.gate.id, attempt_id=self.gate.attempt_id, **names)
        body: dict[str, object] = {**BODIES.get(path.rpartition("/")[2], {})}
        if path.endswith("/approve"):
            body["digest"] = self.gate.digest
        if browser is None:
            client = self.console.nobody()
            headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
            json = body if path.startswith(_API) and method == "POST" else None
            answer = client.request(method, url, json=json, headers=headers, follow_redirects=False)
        else:
            answer = browser.get(url) if method == "GET" else browser.post(url, **body)
        if answer.headers.get("location", "").startswith("/sign-in"):
            return HTTPStatus.UNAUTHORIZED
        return answer.status_code


@pytest.fixture
def stage(new_world: Callable[..., World], new_console: Callable[[World], Console]) -> Iterator[Callable[[str], Stage]]:
    """Bring an integration to a question."""

    def make(scene: str) -> Stage:
        world = new_world()
        ways = {
            "approve": world.to_approval,
            "gong_admin": world.to_intake,
            "stackone_form": world.to_form,
            "consent": world.to_consent,
        }
        gate = ways[scene]()
        made = Stage(new_console(world), world, gate)
        made.console.app.state.bearers = Named(made.people(), made.console)
        return made

    return make


def of_scene(scene: str) -> list[tuple[str, str]]:
    """The routes that are asked at this question, those that end it last."""
    mine = [r for r in MATRIX if SCENE_OF.get(r[1].rpartition("/")[2], "approve") == scene]
    return sorted(mine, key=lambda r: (r[1].rpartition("/")[2] in LAST, r))


def test_every_route_is_in_the_matrix(console: Console) -> None:
    """A new route fails here until somebody has written down who may call it."""
    served = {(method, route.path) for route in routes_of(console.app.routes) for method in route.methods}
    assert served == MATRIX.keys()
    assert RULES.keys() == MATRIX.keys()


def test_a_route_without_a_rule_is_not_served(console: Console) -> None:
    """The console refuses to start with it, so forgetting cannot open anything."""
    console.app.add_api_route("/forgotten", lambda: "hello")
    with pytest.raises(LookupError, match="/forgotten"):
        _require_rules(console.app)


def test_a_route_without_a_limit_is_not_served(console: Console) -> None:
    """The console refuses to start with a form that anybody could make it read without end."""
    console.app.add_api_route("/sign-out", lambda: "hello", methods=["POST"])
    with pytest.raises(LookupError, match="without end"):
        _require_rules(console.app)


@pytest.mark.parametrize("scene", SCENES)
def test_each_role_gets_exactly_what_is_written_down(stage: Callable[[str], Stage], scene: str) -> None:
    """Whoever is not named for a route is refused, and whoever is named is not, signed in by cookie or by token."""
    asked, wrong = stage(scene), []
    for route in of_scene(scene):
        if route[1].rpartition("/")[2] in LAST and asked.gate.id in asked.answered:
            asked = stage(scene)  # the one before was answered
        wrong += judged(asked, route)
    assert not wrong, "\n".join(wrong)


def judged(asked: Stage, route: tuple[str, str]) -> list[str]:
    """What is not as it is written down about a route."""
    allowed, people = MATRIX[route], asked.people()
    if allowed is None:
        statuses = {name: asked.as_(person, *route) for name, person in people.items()}
        return [] if len(set(statuses.values())) == 1 else [f"{route} differs: {statuses}"]
    wrong = []
    for name in sorted(people, key=allowed.__contains__):  # those who are refused come first
        may = name in allowed
        if route == STREAM and may:
            continue
        status = asked.as_(people[name], *route)
        if (status in REFUSED) is may:
            wrong.append(f"{route[0]} {route[1]} by {name}: {status}")
        if may and route[1].rpartition("/")[2] in LAST:
            asked.answered.add(asked.gate.id)
            break
    return wrong


def test_signing_out_is_for_everybody_who_is_in(stage: Callable[[str], Stage]) -> None:
    """Each role can end its own session, and so can somebody who is in no group."""
    asked = stage("approve")
    for person in asked.people().values():
        browser = asked.console.of(person)
        assert browser.post("/sign-out").status_code == HTTPStatus.SEE_OTHER
        assert asked.console.ports.visits.visit(browser.token, 600) is None


def test_nobody_gets_in_without_signing_in(stage: Callable[[str], Stage]) -> None:
    """A browser without a session is led to the sign-in or refused, and a program without a token gets 401."""
    asked = stage("approve")
    inside = [r for r, allowed in MATRIX.items() if allowed is not None]
    assert {r: asked.call(*r, None) for r in inside} == dict.fromkeys(inside, HTTPStatus.UNAUTHORIZED)


def test_nobody_decides_on_their_own_request(stage: Callable[[str], Stage]) -> None:
    """Whoever started it is refused although they are an approver, by page and by API; somebody else is not."""
    asked = stage("approve")
    own = replace(asked.world.person("alice"), groups=frozenset({"approver", "requester"}))
    named = asked.console.app.state.bearers
    named.people["own"] = own
    for verb in ("approve", "reject"):
        assert asked.call("POST", f"/gates/{{gate_id}}/{verb}", asked.console.of(own)) == HTTPStatus.FORBIDDEN
        assert asked.call("POST", f"{_API}{_ONE}/{verb}", None, bearer="own") == HTTPStatus.FORBIDDEN
    other = asked.console.of(asked.people()["approver"])
    assert asked.call("POST", "/gates/{gate_id}/approve", other) == HTTPStatus.SEE_OTHER


def test_a_requester_abandons_their_own_attempt_and_no_other(stage: Callable[[str], Stage]) -> None:
    """Whoever started it may give it up; another requester may not."""
    asked = stage("approve")
    other = asked.console.of(asked.people()["requester"])
    assert asked.call("POST", f"{_ONE}/abandon", other) == HTTPStatus.FORBIDDEN
    own = replace(asked.world.person("alice"), groups=frozenset({"requester"}))
    assert asked.call("POST", f"{_ONE}/abandon", asked.console.of(own)) == HTTPStatus.SEE_OTHER


def test_a_form_from_elsewhere_changes_nothing(stage: Callable[[str], Stage]) -> None:
    """Every change needs the token that only this session's own pages carry."""
    asked = stage("approve")
    browser = asked.console.of(asked.people()["approver"])
    for csrf in ("", "0" * 64, asked.console.browser("erin", "approver").csrf()):
        answer = browser.post(f"/gates/{asked.gate.id}/approve", csrf=csrf, digest=asked.gate.digest)
        assert answer.status_code == HTTPStatus.FORBIDDEN
    assert asked.world.ports.ledger.gates(key=asked.world.key)[0].decisions == ()


def test_a_cookie_does_not_open_the_api(stage: Callable[[str], Stage]) -> None:
    """The API takes no cookies, so no other site can make a browser call it."""
    asked = stage("approve")
    browser = asked.console.of(asked.people()["operator"])
    assert asked.call("GET", f"{_API}/me", browser) == HTTPStatus.UNAUTHORIZED


def test_unsafe_settings_are_refused() -> None:
    """One-time links are for a loopback address, so elsewhere the console does not start with them."""
    from keyturn import settings  # noqa: PLC0415
    from keyturn.console.app import create_app  # noqa: PLC0415
    from keyturn.wiring import Ports  # noqa: PLC0415

    on = {"KEYTURN_CONSOLE__SIGN_IN_LINKS": "true", "KEYTURN_CONSOLE__HOST": "0.0.0.0"}  # noqa: S104  that is the point
    with pytest.raises(ConfigurationError):
        create_app(Ports(settings.load(on)))
