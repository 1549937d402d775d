"""What a command asks of the console, on a machine without the ledger: the same as of a `Desk` beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from keyturn.console.api.shapes import attempts, fleet, kits, looks, questions
from keyturn.console.api.shapes.base import Shape
from keyturn.domain.attempt import Terms
from keyturn.domain.credential import Credential
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import ConfigurationError, KeyturnError, ManifestError, RefusedError
from keyturn.services.fleet_files import Meant
from keyturn.services.intake import Told
from keyturn.services.many import each

if TYPE_CHECKING:
    from keyturn.clients.console import ConsoleApi

AT_ONCE = 8
_PAGE = 200
_Kind = TypeVar("_Kind")


class _Lines(Shape):
    """A page of a list, as far as a command shows it."""

    items: list[fleet.Line]
    next: str


@dataclass(frozen=True, slots=True)
class Away:
    """The same as a `Desk`, by the console's API."""

    api: ConsoleApi

    # --- looking

    def plan(self, key_or_path: str, *, files: bool = False) -> kits.Plan:
        """The plan of an onboarding, by the console's manifest."""
        return self._read(kits.Plan, f"{_key_alone(key_or_path)}/plan", **({"files": "true"} if files else {}))

    def rotation_plan(self, key: IntegrationKey, terms: Terms) -> kits.RotationPlan:
        """The plan of a rotation."""
        on = {name: "true" for name in ("compromised", "ignore_window") if getattr(terms, name)}
        return self._read(kits.RotationPlan, f"{_at(key)}/plan", rotation="true", **on)

    def lines(self) -> list[fleet.Line]:
        """All integrations at a glance, sorted."""
        page = self._read(_Lines, "/integrations", sort="key", limit=_PAGE)
        lines = page.items
        while page.next:
            page = self._read(_Lines, "/integrations", sort="key", limit=_PAGE, after=page.next)
            lines += page.items
        return sorted(lines, key=lambda line: line.key.split("/"))

    def integration(self, key: IntegrationKey) -> fleet.Integration:
        """One integration with all its attempts."""
        return self._read(fleet.Integration, _at(key))

    def progress(self, key: IntegrationKey, *, ask_prefect: bool = False) -> attempts.Progress:
        """How far the newest attempt got."""
        return self._read(attempts.Progress, _at(key), **({"run": "true"} if ask_prefect else {}))

    def gates(self, key: IntegrationKey | None = None) -> list[questions.Asked]:
        """The open gates, oldest first."""
        return self._read(list[questions.Asked], "/gates", **({"key": str(key)} if key else {}))

    def gate(self, gate_id: UUID) -> questions.Gate:
        """One gate with its kit."""
        return self._read(questions.Gate, f"/gates/{gate_id}")

    def due(self) -> list[looks.Due]:
        """What a sweep would do now."""
        return self._read(list[looks.Due], "/rotations/due")

    def verify(self, key: IntegrationKey) -> looks.Verdict:
        """Test a connection now."""
        return self._shaped(looks.Verdict, self.api.post(f"{_at(key)}/verify", reads=True))

    def integrations(self) -> Sequence[IntegrationKey]:
        """All keys, sorted."""
        return [IntegrationKey.parse(line.key) for line in self.lines()]

    def manifests(self) -> list[Meant]:
        """What the console's manifests are about."""
        return [_meant(one) for one in self._read(list[fleet.Filed], "/manifests")]

    def check(
        self,
        keys: Iterable[IntegrationKey],
        on_done: Callable[[looks.Checked], None] = lambda _checked: None,
        at_once: int | None = None,
    ) -> list[looks.Checked]:
        """Look at integrations as the watch does, and keep it; `on_done` hears of each.

        Of several, one that cannot be checked says so and stops no other.

        Raises:
            KeyboardInterrupt: as `keyturn.services.many.each` raises it.
        """
        wanted = list(keys)
        if len(wanted) == 1:
            return [self._do(looks.Checked, wanted[0], "check")]
        done: dict[IntegrationKey, looks.Checked] = {}

        def tell(key: IntegrationKey, one: looks.Checked) -> None:
            done[key] = one
            on_done(one)

        each(wanted, self._checked, at_once or AT_ONCE, tell)
        return [done[key] for key in wanted]

    def evidence(self, key: IntegrationKey, attempt_id: UUID | None) -> str:
        """One attempt as a signed file: the newest ended one unless another is named.

        Raises:
            RefusedError: there is no such attempt.
        """
        mine = self.integration(key).attempts
        found = [a for a in mine if (a.attempt == attempt_id if attempt_id else a.ended_at is not None)]
        if not found:
            problem = f"has no attempt {attempt_id}" if attempt_id else "has no attempt that has ended"
            raise RefusedError(str(key), problem, "See `keyturn status`; name one with --attempt.")
        return self.api.signed(f"/attempts/{found[0].attempt}/evidence")

    # --- starting and ending

    def onboard(self, key_or_path: str, *, restart: bool = False, unless_done: bool = False) -> attempts.Onboarding:
        """Onboard by the console's manifest, or go on with the active attempt; or not again what was completed."""
        how = {"restart": restart, **({"unless_done": True} if unless_done else {})}
        return self._shaped(attempts.Onboarding, self.api.post(f"{_key_alone(key_or_path)}/onboard", how))

    def rotate(self, key: IntegrationKey, terms: Terms) -> attempts.Rotation:
        """Begin a rotation, or go on with the one under way."""
        on = {"compromised": terms.compromised, "ignore_window": terms.ignore_window}
        return self._do(attempts.Rotation, key, "rotate", **on)

    def roll_back(self, key: IntegrationKey, reason: str) -> attempts.Attempt:
        """Have the older secret put back."""
        return self._end(key, "rollback", reason=reason)

    def resume(self, key: IntegrationKey, reason: str) -> attempts.Attempt:
        """Let a halted rotation go on."""
        return self._end(key, "resume", reason=reason)

    def lost(self, key: IntegrationKey, reason: str) -> attempts.Attempt:
        """Say that the new secret was lost before it was handed in."""
        return self._end(key, "lost", reason=reason)

    def abandon(self, key: IntegrationKey, reason: str, *, only_rotation: bool = False) -> attempts.Attempt:
        """End the active attempt, or refuse if it is to be a rotation and is none."""
        return self._end(key, "abandon", reason=reason, only_rotation=only_rotation)

    # --- answering

    def approve(self, key: IntegrationKey, digest: str, note: str, gate: UUID | None = None) -> questions.Decided:
        """Say yes to what was seen."""
        which = {"gate": str(gate)} if gate else {}
        return self._do(questions.Decided, key, "approve", digest=digest, note=note, **which)

    def reject(self, key: IntegrationKey, reason: str) -> questions.Decided:
        """Say no; the attempt ends."""
        return self._do(questions.Decided, key, "reject", reason=reason)

    def require_asked(self, key: IntegrationKey) -> None:
        """Refuse before anybody has typed a secret in vain."""
        self.api.post(f"{_at(key)}/submit", {"only_ask": True}, reads=True)

    def submit(self, key: IntegrationKey, credential: Credential, told: Told) -> questions.Taken:
        """Hand a pair in."""
        pair = {"client_id": credential.client_id, "client_secret": credential.reveal()}
        return self._do(questions.Taken, key, "submit", **pair, **_click(told))

    def submit_wrapped(self, key: IntegrationKey, token: str, told: Told) -> questions.Taken:
        """Hand in what a wrapping token opens."""
        return self._do(questions.Taken, key, "submit", wrapping_token=token, **_click(told))

    def reveal(self, key: IntegrationKey) -> questions.Revealed:
        """Wrap the stored pair for StackOne's form."""
        return self._do(questions.Revealed, key, "reveal")

    def link(self, key: IntegrationKey) -> questions.AuthLink:
        """Make a fresh auth link."""
        return self._do(questions.AuthLink, key, "link")

    def _end(self, key: IntegrationKey, verb: str, **body: object) -> attempts.Attempt:
        return self._do(attempts.Attempt, key, verb, **body)

    def _checked(self, key: IntegrationKey) -> looks.Checked:
        try:
            return self._do(looks.Checked, key, "check")
        except KeyturnError as error:
            fields: dict[str, list[Any]] = {"drifts": [], "observations": [], "turned": []}
            return looks.Checked(key=str(key), onboarded=True, problem=str(error), **fields)

    def _read(self, kind: type[_Kind], path: str, **query: str | int) -> _Kind:
        return self._shaped(kind, self.api.get(path, **query))

    def _do(self, kind: type[_Kind], key: IntegrationKey, verb: str, **body: object) -> _Kind:
        return self._shaped(kind, self.api.post(f"{_at(key)}/{verb}", body or None))

    def _shaped(self, kind: type[_Kind], body: Any) -> _Kind:  # noqa: ANN401  JSON
        try:
            return TypeAdapter(kind).validate_python(body)
        except ValidationError as error:
            where = ".".join(map(str, error.errors(include_input=False)[0]["loc"]))
        remedy = "Install the version of keyturn that runs there."
        raise ConfigurationError(self.api.subject, f"says something that this keyturn cannot read: {where}", remedy)


def _meant(filed: fleet.Filed) -> Meant:
    """By its key, since it is no file of this machine."""
    name = filed.key or filed.file
    problem = filed.problem or ("" if filed.key else "does not say which integration it is about")
    fault = ManifestError(filed.file, problem, filed.remedy or "Run `keyturn lint` there.") if problem else None
    return Meant(name, IntegrationKey.parse(filed.key) if filed.key else None, fault)


def _at(key: IntegrationKey) -> str:
    return f"/integrations/{key}"


def _key_alone(text: str) -> str:
    """The path of an integration whose manifest is the console's own, and no file of this machine."""
    if text.endswith((".yaml", ".yml")):
        problem = "is a file of this machine, and the console goes by its own manifests"
        raise ConfigurationError(text, problem, "Give tenant/environment.")
    return _at(IntegrationKey.parse(text))


def _click(told: Told) -> dict[str, object]:
    """What was told of the click in Gong, as far as it was."""
    said = {"clicked_at": told.clicked_at and told.clicked_at.isoformat(), "grace_hours": told.grace_hours}
    return {name: value for name, value in said.items() if value is not None}
