"""What each stage is for, in a clause."""

from __future__ import annotations

from collections.abc import Mapping

from keyturn.domain.attempt import Stage

STAGES: Mapping[Stage, str] = {
    Stage.REGISTER: "the manifest is linted and registered",
    Stage.APPROVE: "people approve the digest",
    Stage.GONG_ADMIN: "Gong's admin creates the integration and hands the pair in",
    Stage.FETCH_SECRET: "the pair is linted, and tried at Gong",
    Stage.STORE_SECRET: "the pair becomes current in Vault",
    Stage.CREATE_PROFILE: "the StackOne profile gets the pair",
    Stage.LINK_ACCOUNT: "Gong's admin consents by the auth link",
    Stage.TEST_CONNECTION: "the connection is tested, layer by layer",
    Stage.PREFLIGHT: "everything that is needed is looked at",
    Stage.GONG_ROTATION: "Gong's admin rotates the secret and hands it in",
    Stage.STAGE_SECRET: "the new secret becomes pending in Vault",
    Stage.PROBE_SECRET: "the new secret is tried at Gong",
    Stage.APPLY: "the StackOne profile gets the new secret",
    Stage.VERIFY: "a refresh or a new link proves the new secret",
    Stage.PROMOTE: "the new secret becomes current",
    Stage.RETIRE: "the older secret is marked dead after its grace",
    Stage.ROLL_BACK: "the older secret is put back",
}
