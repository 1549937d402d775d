"""What a made-up integration has been through: an onboarding, most of them a rotation, some of them one under way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from keyturn.domain.attempt import AttemptKind, AttemptState, Halt, Stage, stages_of
from keyturn.domain.gate import GateKind, GateState
from keyturn.domain.health import Cause
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.verdict import Layer, LayerStatus

FORM = {
    "name": "StackOne",
    "description": "Calls in StackOne",
    "short_description": "Calls",
    "logo": "logo.png",
    "privacy_policy_url": "https://acme.example/privacy",
    "terms_url": "https://acme.example/terms",
    "help_url": "https://acme.example/help",
    "contact_emails": ["it@acme.example"],
    "domains": ["acme.example"],
    "scopes": ["api:users:read"],
}
ASKED_BY = {
    Stage.APPROVE: (GateKind.APPROVE, "approver"),
    Stage.GONG_ADMIN: (GateKind.GONG_ADMIN, "gong-admin"),
    Stage.LINK_ACCOUNT: (GateKind.CONSENT, "gong-admin"),
    Stage.GONG_ROTATION: (GateKind.GONG_ROTATION, "gong-admin"),
}
GRACE = timedelta(hours=168)
# What is under way, in every hundredth integration each: kind, the stage it is at, whether a person is asked there.
UNDER_WAY: Mapping[int, tuple[AttemptKind, Stage]] = {
    2: (AttemptKind.ONBOARDING, Stage.APPROVE),
    3: (AttemptKind.ONBOARDING, Stage.GONG_ADMIN),
    4: (AttemptKind.ONBOARDING, Stage.LINK_ACCOUNT),
    5: (AttemptKind.ROTATION, Stage.APPROVE),
    6: (AttemptKind.ROTATION, Stage.GONG_ROTATION),
    7: (AttemptKind.ROTATION, Stage.RETIRE),
    8: (AttemptKind.ROTATION, Stage.RETIRE),
    9: (AttemptKind.ROTATION, Stage.RETIRE),
    10: (AttemptKind.ROTATION, Stage.APPLY),
    0: (AttemptKind.ROTATION, Stage.VERIFY),  # halted there
}
RAISED: Mapping[int, Cause] = {
    11: Cause.SECRET_RESET,
    12: Cause.CONSENT_LOST,
    13: Cause.ROTATION_OVERDUE,
    14: Cause.ROTATION_OVERDUE,
}
REJECTED, NEVER_CHECKED, UNCLEAR = 1, 20, range(15, 20)

Row = dict[str, object]


def key_of(n: int) -> str:
    """What the n-th integration is called."""
    return f"tenant-{n:05d}/production"


@dataclass
class Life:
    """The rows of one integration, by table.

    Args:
        n: which one it is.
        now: the moment up to which it has lived.
    """

    n: int
    now: datetime
    rows: dict[str, list[Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sealed = sealed(self.n)
        self.key, self.digest, self.part = str(self.sealed.key), self.sealed.digest, self.n % 100
        self._registered()
        kind, stage = UNDER_WAY.get(self.part, (None, Stage.REGISTER))
        if kind is AttemptKind.ONBOARDING:
            self._attempt(kind, self.now - timedelta(days=2), stage)
            return
        self._onboarded()
        if kind is AttemptKind.ROTATION:
            self._attempt(kind, self.now - timedelta(days=4), stage)
        if cause := RAISED.get(self.part):
            self._add(
                "conditions", key=self.key, cause=cause, raised=True, since=self.now, evidence="seen", remedy="act"
            )

    def _registered(self) -> None:
        body = Jsonb(self.sealed.model_dump(mode="json"))
        self._add("manifests", digest=self.digest, key=self.key, body=body, registered_at=self.now)
        checked = None if self.part == NEVER_CHECKED else self.now - timedelta(seconds=self.n % 900)
        self._add(
            "integrations",
            key=self.key,
            digest=self.digest,
            profile_name=self.sealed.manifest.profile_name,
            updated_at=self.now,
            checked_at=checked,
        )

    def _onboarded(self) -> None:
        began = self.now - timedelta(days=150 + self.n * 37 % 200, minutes=self.n % 1440)
        if self.part == REJECTED:
            self._attempt(AttemptKind.ONBOARDING, began, Stage.APPROVE, AttemptState.REJECTED)
            return
        self._attempt(AttemptKind.ONBOARDING, began, None, AttemptState.COMPLETED)
        if self.n % 4:
            turned = self.now - timedelta(days=14 + self.n * 53 % 120, minutes=self.n % 1440)
            self._attempt(AttemptKind.ROTATION, turned, None, AttemptState.COMPLETED)

    def _attempt(
        self, kind: AttemptKind, began: datetime, at: Stage | None, state: AttemptState = AttemptState.ACTIVE
    ) -> None:
        """An attempt that has come to a stage, or to its end."""
        attempt, stages = uuid4(), stages_of(kind)
        done = stages[: stages.index(at)] if at else stages
        ended = None if state is AttemptState.ACTIVE else began + len(stages) * timedelta(hours=20)
        halted = self.part == 0 and state is AttemptState.ACTIVE
        self._add(
            "attempts",
            id=attempt,
            key=self.key,
            kind=kind,
            digest=self.digest,
            requester_id="vault:entity/alice",
            requester_name="alice",
            state=state,
            fence=1,
            started_at=began,
            ended_at=ended,
            halt=Halt.ROLLED_BACK if halted else Halt.NONE,
            reason="the new secret was disproven" if halted else "",
        )
        for number, stage in enumerate(done, 1):
            self._done(attempt, stage, began + number * timedelta(hours=10))
        if at is not None and not halted:
            self._asked(attempt, at, began + (len(done) + 1) * timedelta(hours=10), state)

    def _done(self, attempt: UUID, stage: Stage, moment: datetime) -> None:
        if stage in ASKED_BY:
            self._gate(attempt, stage, moment - timedelta(hours=8), GateState.APPROVED, moment - timedelta(minutes=5))
        body = Jsonb(_body(stage, self.n, moment))
        values = {"attempt_id": attempt, "stage": stage, "digest": self.digest, "fence": 1, "body": body, "at": moment}
        self._add("receipts", **values)

    def _asked(self, attempt: UUID, stage: Stage, moment: datetime, state: AttemptState) -> None:
        """The question that is open at a stage, or led to its end."""
        if state is AttemptState.REJECTED:
            self._gate(attempt, stage, moment, GateState.REJECTED, moment + timedelta(hours=1))
        elif stage in ASKED_BY or stage is Stage.RETIRE:
            self._gate(attempt, stage, moment, GateState.OPEN, None)

    def _gate(self, attempt: UUID, stage: Stage, opened: datetime, state: GateState, decided: datetime | None) -> None:
        kind, group = ASKED_BY.get(stage, (GateKind.GRACE, ""))
        gate = uuid4()
        self._add(
            "gates",
            id=gate,
            attempt_id=attempt,
            key=self.key,
            kind=kind,
            digest=self.digest,
            requester_id="vault:entity/alice",
            needed=1,
            groups=[group] if group else [],
            channel="keyturn",
            state=state,
            opened_at=opened,
            rearm_at=self.now + timedelta(days=20),
            decided_at=decided,
            resumed_at=decided,
            question=Jsonb(_question(kind, self.n, opened)),
        )
        if decided is not None:
            self._decided(gate, approved=state is GateState.APPROVED, at=decided)

    def _decided(self, gate: UUID, *, approved: bool, at: datetime) -> None:
        bob = {"person_id": "vault:entity/bob", "person_name": "bob", "signed_in": "vault token (userpass)"}
        self._add("decisions", gate_id=gate, **bob, approved=approved, digest=self.digest, note="", at=at)

    def _add(self, table: str, **values: object) -> None:
        self.rows.setdefault(table, []).append(values)


def sealed(n: int) -> SealedManifest:
    """The manifest of the n-th integration."""
    tenant, environment = key_of(n).split("/")
    manifest = {
        "tenant": tenant,
        "environment": environment,
        "gong": FORM,
        "stackone": {"origin_owner": {"id": f"{tenant}-1", "name": tenant}},
    }
    pictures = {"logo_sha256": "0" * 64, "logo_large": "", "logo_small": ""}
    return SealedManifest.model_validate({"manifest": manifest, "scopes": ["api:users:read"], **pictures})


def lives(integrations: int, now: datetime) -> Iterator[Life]:
    """So many integrations, one after the other."""
    return (Life(n, now) for n in range(integrations))


def _ref(n: int, version: int) -> dict[str, object]:
    return {"path": f"{key_of(n)}/client", "version": version, "fingerprint": f"{n:012x}{version:04x}"}


def _profile(n: int, version: int) -> dict[str, object]:
    shown = {"profile_id": f"profile-{n}", "name": f"Gong {key_of(n)}", "updated_at": "2026-01-01T00:00:00.000Z"}
    return shown | {"writer": "assisted", "why": "StackOne's API takes no secret"} | _ref(n, version)


def _body(stage: Stage, n: int, moment: datetime) -> Mapping[str, object]:
    """What the receipt of a stage says."""
    old, new, account = _ref(n, 1), _ref(n, 2), {"account_id": f"account-{n}"}
    by, ends = {"by": ["bob"]}, (moment + GRACE).isoformat()
    grace = {"grace_began": moment.isoformat(), "grace_ends_earliest": ends, "grace_ends_at": ends}
    proven = {"probe": "not proven", "status": 400, "code": "invalid_grant"}
    bodies: Mapping[Stage, Mapping[str, Any]] = {
        Stage.REGISTER: {"digest": f"{n:064x}"},
        Stage.APPROVE: by,
        Stage.GONG_ADMIN: by | old,
        Stage.FETCH_SECRET: old | proven,
        Stage.STORE_SECRET: old | {"stored_as": "current", "proven": True, "pointer": 1},
        Stage.CREATE_PROFILE: _profile(n, 1),
        Stage.LINK_ACCOUNT: account | {"profile_id": f"profile-{n}"},
        Stage.TEST_CONNECTION: _verdict(),
        Stage.PREFLIGHT: {"old": old, "probe_before": "valid", "writer": "assisted", "channels": 1},
        Stage.GONG_ROTATION: by | new | grace,
        Stage.STAGE_SECRET: new | {"pointer": 2, "grace_ends_at": ends},
        Stage.PROBE_SECRET: new | proven,
        Stage.APPLY: _profile(n, 2),
        Stage.VERIFY: account | {"by": "link"},
        Stage.PROMOTE: new | {"pointer": 3, "previous": old},
        Stage.RETIRE: old | {"pointer": 4, "old": "refused by Gong", "code": "invalid_client"},
    }
    return bodies[stage]


def _verdict() -> dict[str, object]:
    statuses: Sequence[LayerStatus] = (*[LayerStatus.PASSED] * 3, LayerStatus.NOT_TESTED)
    pairs = zip(Layer, statuses, strict=True)
    return {layer: {"layer": layer, "status": s, "evidence": "seen", "remedy": ""} for layer, s in pairs}


def _question(kind: GateKind, n: int, opened: datetime) -> Mapping[str, object]:
    asked: Mapping[GateKind, Mapping[str, object]] = {
        GateKind.APPROVE: {},
        GateKind.GONG_ADMIN: {},
        GateKind.CONSENT: {"profile_id": f"profile-{n}", "sessions": [], "last": ""},
        GateKind.GONG_ROTATION: {"grace_hours": 168, "compromised": False, "second": False, "in_use": "0"},
        GateKind.GRACE: {"until": (opened + GRACE).isoformat()},
    }
    return asked[kind]
