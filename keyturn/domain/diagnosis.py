"""What observations mean together: a cause with a remedy, never a fix.

========  =========  =====================================================================================
pair      accounts   meaning
========  =========  =====================================================================================
refused   fine       the secret was reset in Gong; the accounts live on their access tokens, a day at most
fine      failing    consent or scopes were lost: reconnect, and do not rotate
refused   failing    the connection is down
unknown   failing    accounts fail, and nothing is known of the pair
unknown   fine       nothing: what is not known makes no drift
========  =========  =====================================================================================

Accounts whose profile is gone or disabled fail because of that, and say nothing by themselves. Of the three causes
that failing accounts can have, what is seen of the pair also ends the other two: their remedies contradict each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from keyturn.domain.health import PROFILE_CAUSES, SUBJECT_OF, Cause, Drift, Observation, Outcome, Subject
from keyturn.domain.rotation import ACCESS_TOKEN_LIFE

_EXPLAIN_ACCOUNTS = (Cause.PROFILE_GONE, Cause.PROFILE_DISABLED)
_HOUR = timedelta(hours=1)
Seen = Mapping[Subject, Observation]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of an integration besides the observations of a round.

    Attributes:
        key: the integration, as commands take it.
        now: the moment of the round.
        pair_fine_at: when Gong last took the pair, as far as anybody looked.
        waiting: whether a secret that was handed in lies in Vault and was never put to use.
        turning: whether a rotation is under way.
    """

    key: str
    now: datetime
    pair_fine_at: datetime | None = None
    waiting: bool = False
    turning: bool = False


def diagnose(observations: Sequence[Observation], about: Circumstances) -> tuple[Drift, ...]:
    """Everything that is not as it should be, by what was seen in one round."""
    seen = {o.subject: o for o in observations}
    return tuple(_drifts(seen, about))


def undecided(observations: Sequence[Observation]) -> frozenset[Cause]:
    """The causes that a round without a sighting of them says nothing about, so that it clears none of them.

    A cause is over when its subject was seen in order, or its opposite was seen. One that hides behind another one of
    the profile's is not.
    """
    seen = {o.subject: o for o in observations}
    open_causes = {cause for cause, subject in SUBJECT_OF.items() if not _is(seen, subject, Outcome.OK)}
    profile = seen.get(Subject.PROFILE)
    if profile is not None and profile.hint in PROFILE_CAUSES:
        open_causes -= set(PROFILE_CAUSES[: PROFILE_CAUSES.index(profile.hint)])
    if any(o.hint is Cause.NOT_SEEN for o in observations):
        open_causes.add(Cause.NOT_SEEN)
    return frozenset(open_causes - _disproven(seen))


def not_seen(subjects: Sequence[Subject], evidence: str, key: str) -> Drift:
    """The drift when subjects could not be looked at for several rounds."""
    named = ", ".join(sorted(subjects))
    return Drift(Cause.NOT_SEEN, f"{named}: {evidence}", _REMEDIES[Cause.NOT_SEEN].format(key=key))


def _disproven(seen: Seen) -> frozenset[Cause]:
    """The causes whose opposite was seen, although their subject is not in order."""
    refused, failing = _refused(seen) is not None, bool(_failing(seen))
    over = {Cause.SECRET_MISSING} if refused else set()  # what Gong was asked about is in Vault
    if failing and refused:
        over |= {Cause.CONSENT_LOST, Cause.ACCOUNTS_FAILING}
    elif failing and _is(seen, Subject.PAIR, Outcome.OK):
        over |= {Cause.CONNECTION_DOWN, Cause.ACCOUNTS_FAILING}
    return frozenset(over)


def _drifts(seen: Seen, about: Circumstances) -> Iterator[Drift]:
    yield from _of_connection(seen, about)
    for subject, observation in seen.items():
        by_itself = subject not in (Subject.PAIR, Subject.ACCOUNTS) or observation.hint is Cause.SECRET_MISSING
        if observation.outcome is Outcome.BAD and observation.hint and by_itself:
            yield _drift(observation.hint, observation.evidence, about)


def _of_connection(seen: Seen, about: Circumstances) -> Iterator[Drift]:
    """Pair and accounts say something only together."""
    refused, failing = _refused(seen), _failing(seen)
    if refused is not None:
        if failing:
            yield _drift(Cause.CONNECTION_DOWN, f"{refused.evidence}; {failing}", about)
        elif refused.hint:
            yield _drift(refused.hint, f"{refused.evidence}; {_left(seen, about)}", about)
    elif failing and _is(seen, Subject.PAIR, Outcome.OK):
        yield _drift(Cause.CONSENT_LOST, f"{failing}; Gong takes the pair", about)
    elif failing:
        yield _drift(Cause.ACCOUNTS_FAILING, f"{failing}; whether Gong takes the pair is not known", about)


def _refused(seen: Seen) -> Observation | None:
    """What was seen of a pair that Gong refuses; one that is not in Vault was never shown to it."""
    pair = seen.get(Subject.PAIR)
    known = pair is not None and pair.outcome is Outcome.BAD and pair.hint is not Cause.SECRET_MISSING
    return pair if known else None


def _failing(seen: Seen) -> str:
    """By what it is seen that accounts fail for a reason of their own; empty when they do not, or nobody knows."""
    accounts = seen.get(Subject.ACCOUNTS)
    return accounts.evidence if accounts and accounts.outcome is Outcome.BAD and not _explained(seen) else ""


def _explained(seen: Seen) -> bool:
    profile = seen.get(Subject.PROFILE)
    return profile is not None and profile.hint in _EXPLAIN_ACCOUNTS


def _left(seen: Seen, about: Circumstances) -> str:
    """How long accounts still work without their secret."""
    if not _is(seen, Subject.ACCOUNTS, Outcome.OK):
        return "how the accounts are is not known"
    if about.pair_fine_at is None:
        return "accounts live on their access tokens for at most 24 hours"
    left = max(0, int((about.pair_fine_at + ACCESS_TOKEN_LIFE - about.now) / _HOUR))
    since = f"{about.pair_fine_at:%Y-%m-%d %H:%M} UTC"
    return f"accounts live on their access tokens: at most {left} hours are left since it was last taken at {since}"


def _drift(cause: Cause, evidence: str, about: Circumstances) -> Drift:
    remedy = _REMEDIES[cause]
    if cause in (Cause.SECRET_RESET, Cause.CONNECTION_DOWN) and about.turning:
        remedy = _FINISH
    elif cause in (Cause.SECRET_RESET, Cause.CONNECTION_DOWN) and about.waiting:
        remedy = _TAKE_OVER
    return Drift(cause, evidence, remedy.format(key=about.key))


def _is(seen: Seen, subject: Subject, outcome: Outcome) -> bool:
    return subject in seen and seen[subject].outcome is outcome


_FINISH = "Finish the rotation under way, at once: `keyturn status {key}` says who must do what."
_TAKE_OVER = "A newer secret lies in Vault and was never put to use: `keyturn rotate {key}` takes it over."
_REMEDIES: Mapping[Cause, str] = {
    Cause.SECRET_RESET: (
        "The secret was reset in Gong. Whoever did it starts `keyturn rotate {key}` and hands the new secret in; "
        "if it is lost, rotate once more in Gong."
    ),
    Cause.SECRET_MISSING: (
        "Bring it back in Vault if it can be, with `vault kv undelete` or `vault kv rollback`; else hand a pair in by "
        "`keyturn onboard {key}`."
    ),
    Cause.CONSENT_LOST: (
        "Reconnect, and do not rotate: `keyturn onboard {key}`, then have Gong's admin consent by `keyturn link {key}`."
        " Another account of its profile is linked again in StackOne, or removed there if nobody needs it."
    ),
    Cause.CONNECTION_DOWN: (
        "Have Gong's admin look whether the integration is still there. Then turn the secret with "
        "`keyturn rotate {key}`; if accounts still fail, reconnect with `keyturn onboard {key}`."
    ),
    Cause.ACCOUNTS_FAILING: "Look closer: `keyturn verify {key}`; if L1 passes, reconnect by `keyturn onboard {key}`.",
    Cause.PROFILE_GONE: "Run `keyturn onboard {key}`, which makes the profile anew; accounts have to be linked again.",
    Cause.PROFILE_RENAMED: "Give it its name back in StackOne, for it is found by that; then `keyturn check {key}`.",
    Cause.PROFILE_DISABLED: "Find out who disabled it and why; enable it in StackOne, then `keyturn check {key}`.",
    Cause.PROFILE_NOT_DEFAULT: "Make it the default again in StackOne, or accept it by `keyturn onboard {key}`.",
    Cause.PROFILE_EDITED: (
        "Nobody knows which secret it holds now. Ask who edited it; `keyturn rotate {key}` writes it again."
    ),
    Cause.MANIFEST_CHANGED: (
        "See what differs with `keyturn plan {key}`, or what is wrong with the file with `keyturn lint`; apply it with "
        "`keyturn onboard {key}`. If it was rejected or is not wanted, put back into the file what is applied; where "
        "something else is registered, have it registered again: `keyturn onboard {key}`, then "
        "`keyturn abandon {key} --reason 'put back'`."
    ),
    Cause.RETIRED_WORKS: (
        "Ask Gong's support why a secret outlives its grace. If it may be known to others: "
        "`keyturn rotate {key} --compromised`."
    ),
    Cause.TRUSTED_IPS_NOT_ATTESTED: (
        "Ask StackOne's support for its addresses, name them in the manifest under gong.trusted_ips, and apply it "
        "with `keyturn onboard {key}`."
    ),
    Cause.ROTATION_OVERDUE: "Turn it now with `keyturn rotate {key}`, or look why the sweep did not.",
    Cause.NOT_SEEN: "See which server is away with `keyturn doctor`, then look again with `keyturn check {key}`.",
}
