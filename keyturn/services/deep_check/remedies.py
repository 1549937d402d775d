"""What a person does about stores that contradict each other, in sentences with commands to copy."""

from __future__ import annotations

from keyturn.domain.attempt import AttemptKind
from keyturn.domain.credential import CredentialRef
from keyturn.services.deep_check.told import Told


def let_go(told: Told) -> str:
    """The ledger has missed what was done: what it would still do is not to be done any more."""
    key, active = told.key, told.active
    if active is None:
        anew = "`keyturn rotate {key}` when it is due" if told.onboarded else "`keyturn onboard {key}`"
        return f"The ledger catches up by {anew.format(key=key)}."
    if active.kind is AttemptKind.ROTATION:
        later = f"`keyturn rotate {key}` when the next one is due"
        return f"Do not click in Gong. `keyturn rotate abandon {key}`, and {later}."
    if told.in_use is None:
        return "Go on with the onboarding, as said of the pairs."
    return f"`keyturn abandon {key}`, then `keyturn onboard {key}`: it finds the profile by its name."


def take_up(told: Told, ref: CredentialRef) -> str:
    """A pair lies in Vault that the ledger would ask for: a new rotation takes PENDING up by itself."""
    key, active = told.key, told.active
    if told.onboarded:
        end = f"`keyturn rotate abandon {key}`, then " if active else ""
        return f"Do not click in Gong: {end}`keyturn rotate {key}` takes up what is PENDING."
    start = "" if active else f"`keyturn onboard {key}`, and when it asks for the pair: "
    return start + _out_of_vault(told, ref.version)


def hand_over(told: Told, version: int) -> str:
    """A pair lies in Vault that nothing points to: it is handed in out of Vault, for Gong shows it once."""
    if told.active is None and told.onboarded:
        return "Nothing uses it. Leave it; if it came of a click in Gong, hand it in when a rotation asks for one."
    start = "" if told.active else f"`keyturn onboard {told.key}`, and when it asks for the pair: "
    return start + _out_of_vault(told, version)


def _out_of_vault(told: Told, version: int) -> str:
    # `kv get` looks for its field in the data, which a wrapped answer has not: `read` asks for the path itself.
    read = f"vault read -wrap-ttl=5m -field=wrapping_token {told.mount}/data/{told.key}/client version={version}"
    return (
        "Gong shows a secret once, and Vault has it, so hand it in out of Vault. An operator wraps it for 5 minutes: `"
        f"{read}`; whoever hands pairs in (group gong_admin) then runs `keyturn submit {told.key} --wrapped`."
    )
